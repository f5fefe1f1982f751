"""Prepare the start of a dyno: its environment, and the script that bash reads first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from hsup.model import Command, DynoSpec


def environment(spec: DynoSpec) -> dict[str, str]:
    """Return the variables of a dyno: what is passed on, config, metadata, PORT and DYNO.

    Each overrides those before it. A driver adds defaults such as PATH and HOME, which all of
    these override.
    """
    variables = {**spec.passed, **spec.config, **spec.metadata}
    if spec.port is not None:
        variables["PORT"] = str(spec.port)
    variables["DYNO"] = str(spec.name)
    return variables


def dyno_id(app: str, release_version: int, name: str) -> str:
    """Return the id of a dyno, HEROKU_DYNO_ID: a UUID.

    A dyno keeps it as long as this machine runs the release.
    """
    from uuid import NAMESPACE_OID, uuid5  # slow to import, rarely needed

    return str(uuid5(NAMESPACE_OID, f"{os.uname().nodename}/{app}/{release_version}/{name}"))


#: Variables that a dyno has unless the release sets them. The prompt is the platform's.
_DYNO_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "HOME": "/app",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PS1": r"\[\033[01;34m\]\w\[\033[00m\] \[\033[01;32m\]$ \[\033[00m\]",
        "PWD": "/app",
    }
)

#: The file in a dyno with START_UP, which bash reads before the command.
START_UP_FILE = "/etc/hsup/start-up.sh"
#: Reads the profile scripts in alphabetical order, whatever the locale (Dyno Startup Behavior
#: in Heroku's Dev Center). The arguments and options of the shell belong to the command, so
#: what a script changes of them is restored after it. The inner loop is for a `break` in a
#: script. While bash has a trap for EXIT, it only notes signals that would end it, and forgets
#: them when it executes a program. With a trap of its own at that moment, a signal ends bash
#: at once afterwards; except for SIGINT, which bash handles itself again.
START_UP = r"""\
hsup_find() { local LC_ALL=C; hsup_profiles=(/app/.profile.d/*.sh /app/.profile); }
hsup_restore() {
  local option
  IFS=:
  for option in $SHELLOPTS; do [[ :$hsup_set: == *:$option:* ]] || set +o "$option"; done
  for option in $BASHOPTS; do [[ :$hsup_shopt: == *:$option:* ]] || shopt -u "$option"; done
  for option in $hsup_set; do set -o "$option"; done
  for option in $hsup_shopt; do shopt -s "$option"; done
  IFS=$' \t\n'
}
hsup_tell_exit() {
  local signal signals='HUP USR1 USR2 ALRM TERM XCPU VTALRM'
  for signal in $signals; do trap "trap - EXIT $signal; kill -s $signal $$" "$signal"; done
  trap 'echo "hsup: $hsup_profile exited with status $?, so the command was not run" >&2' EXIT
  trap - $signals
}
hsup_words=("$@") hsup_set=$SHELLOPTS hsup_shopt=$BASHOPTS hsup_read=
hsup_find 2>/dev/null  # bash has said already that a locale is missing
trap '[ "${#BASH_SOURCE[@]}" -gt 1 ] || set +e' RETURN  # a status is no failure of the shell
for hsup_profile in "${hsup_profiles[@]}"; do
  [ -r "$hsup_profile" ] || continue
  [ "$hsup_read" ] || hsup_tell_exit
  for hsup_read in yes; do . "$hsup_profile"; done
  { hsup_restore; } 2>/dev/null
  set -- "${hsup_words[@]}"
done
trap - RETURN
[ "$hsup_read" ] && [[ $(trap -p EXIT) != *hsup_profile* ]] || trap - EXIT
[ -z "$HSUP_PS1" ] || export PS1="$HSUP_PS1"
unset -f hsup_find hsup_restore hsup_tell_exit
unset -v hsup_profile hsup_profiles hsup_words hsup_set hsup_shopt hsup_read HSUP_PS1
"""


def dyno_environment(spec: DynoSpec) -> dict[str, str]:
    """Return the variables of a dyno that has its code in /app, for `start_up`.

    A non-interactive bash unsets PS1, so it is passed as HSUP_PS1.
    """
    variables = {**_DYNO_DEFAULTS, **environment(spec)}
    variables["HSUP_PS1"] = variables.pop("PS1")
    return variables


def start_up(command: Command) -> tuple[str, ...]:
    """Return the argv that starts a command in a dyno that has its code in /app.

    bash reads `/app/.profile.d/*.sh` and `/app/.profile`, then executes the command in
    its place, or interprets it from the second line on.
    """
    line = command.words[0] if command.is_shell_line else 'exec "$@"'
    words = () if command.is_shell_line else command.words
    return ("/bin/bash", "-c", f". {START_UP_FILE}\n{line}", "bash", *words)
