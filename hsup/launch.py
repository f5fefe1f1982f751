"""What a dyno finds around it when it starts: its environment and its port."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from hsup.errors import DriverError
from hsup.model import Bind, Command, DynoName, DynoSpec, Release

#: As foreman has it: a hundred ports for every process type, from 5000 on.
BASE_PORT = 5000
PORTS_PER_TYPE = 100
_HIGHEST_PORT = 65535


def environment(spec: DynoSpec) -> dict[str, str]:
    """Return the variables of a dyno: the release's config, then metadata, PORT and DYNO.

    A config var cannot override these. A driver adds what its surroundings
    need (PATH, HOME) beneath them.
    """
    variables = {**spec.config, **spec.metadata}
    if spec.port is not None:
        variables["PORT"] = str(spec.port)
    variables["DYNO"] = str(spec.name)
    return variables


#: What a dyno finds in its environment where the release does not set it. The
#: prompt is the platform's.
_DYNO_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "HOME": "/app",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PS1": r"\[\033[01;34m\]\w\[\033[00m\] \[\033[01;32m\]$ \[\033[00m\]",
        "PWD": "/app",
    }
)

#: Where a driver puts START_UP in a dyno, for bash to read before the command.
START_UP_FILE = "/etc/hsup/start-up.sh"
#: In alphabetical order, whatever the language (Dyno Startup Behavior in Heroku's
#: Dev Center). The words and options of the shell are the command's: whatever a script
#: does to them is undone after it. The inner loop is for its `break`. Where bash has a trap
#: for EXIT, it only notes the signals that would end it, and forgets what it has noted when
#: it executes something. Those that have a trap of their own just then end it at once
#: afterwards; but for SIGINT, which bash takes for itself again.
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

    bash takes PS1 away where it reads a command, so that it travels as HSUP_PS1.
    """
    variables = {**_DYNO_DEFAULTS, **environment(spec)}
    variables["HSUP_PS1"] = variables.pop("PS1")
    return variables


def start_up(command: Command) -> tuple[str, ...]:
    """Return what starts a command in a dyno that has its code in /app, as an argv.

    bash reads what is in /app/.profile.d and /app/.profile, and becomes the
    command, or interprets it from the second line on.
    """
    line = command.words[0] if command.is_shell_line else 'exec "$@"'
    words = () if command.is_shell_line else command.words
    return ("/bin/bash", "-c", f". {START_UP_FILE}\n{line}", "bash", *words)


def dyno_spec(
    release: Release,
    name: DynoName,
    command: Command,
    *,
    port: int | None,
    size: str | None = None,
    binds: tuple[Bind, ...] = (),
    has_metadata: bool = False,
) -> DynoSpec:
    """Return what a driver needs to run a command as a dyno of a release."""
    return DynoSpec(
        name=name,
        command=command,
        config=release.config,
        port=port,
        slug=release.slug,
        stack=release.stack,
        binds=binds,
        size=size,
        app=release.app,
        release_version=release.version,
        metadata=_metadata(release, name) if has_metadata else {},
        author=release.author,
    )


def _metadata(release: Release, name: DynoName) -> dict[str, str]:
    """Return the variables that tell of a dyno, as the platform names them.

    See Dyno Metadata in Heroku's Dev Center. The id of a dyno is the same one as long as
    this machine runs the release.
    """
    from uuid import NAMESPACE_OID, uuid5  # takes long, and is seldom asked for

    whose = f"{os.uname().nodename}/{release.app}/{release.version}/{name}"
    return {
        "HEROKU_APP_NAME": release.app,
        "HEROKU_RELEASE_VERSION": f"v{release.version}",
        **release.metadata,
        "HEROKU_DYNO_ID": str(uuid5(NAMESPACE_OID, whose)),
    }


def one_off_command(release: Release, words: tuple[str, ...]) -> Command:
    """Return what `hsup run` executes: a type's name stands for its command, as on the platform.

    What follows the name is added to the command. One word is a line of the shell, and of
    that the name is the beginning.
    """
    is_line = len(words) == 1
    name, _, rest = words[0].strip().partition(" ") if is_line else (words[0], "", "")
    process = release.process(name)
    if process is None or not process.command.words:
        return Command(words)
    command, added = process.command, words[1:]
    if rest or (added and command.is_shell_line):
        import shlex

        return Command((f"{command} {rest or shlex.join(added)}",))
    return Command((*command.words, *added))


def one_off_name(kind: str) -> DynoName:
    """Return `run.4711`: the kind, and four random digits."""
    return DynoName(kind, 1000 + int.from_bytes(os.urandom(4)) % 9000)


class Ports:
    """Gives every dyno of a shared network a port of its own.

    The port of a dyno is 5000 + 100 × the index of its type + its number − 1,
    so that it is known beforehand. A type keeps its index as long as this
    object lives, and a dyno its port until it is released; one whose port is
    taken, because a type has more than a hundred dynos, gets the next free one.
    """

    def __init__(self, types: Iterable[str] = ()) -> None:
        self._indexes: dict[str, int] = {}
        self._leases: dict[DynoName, int] = {}
        # A byte for each port, among which C looks for the next that is free.
        self._taken = bytearray(_HIGHEST_PORT + 1)
        self.know(types)

    def know(self, types: Iterable[str]) -> None:
        """Give an index to every type that has none."""
        for name in types:
            self._indexes.setdefault(name, len(self._indexes))

    def lease(self, name: DynoName) -> int:
        """Return the port of a dyno, the same one until it is released.

        Raises DriverError when no port is left.
        """
        if name not in self._leases:
            port = self._next_free(self._preferred(name))
            self._leases[name] = port
            self._taken[port] = 1
        return self._leases[name]

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Take back what is leased meanwhile, where that ends with an error."""
        before = set(self._leases)
        try:
            yield
        except BaseException:
            for name in self._leases.keys() - before:
                self.release(name)
            raise

    def release(self, name: DynoName) -> None:
        """Take back the port of a dyno that is no more."""
        if name in self._leases:
            self._taken[self._leases.pop(name)] = 0

    def _preferred(self, name: DynoName) -> int:
        index = self._indexes.get(name.type, len(self._indexes))  # one-offs: after all types
        return BASE_PORT + PORTS_PER_TYPE * index + name.number - 1

    def _next_free(self, preferred: int) -> int:
        for first in (preferred, BASE_PORT):
            port = self._taken.find(0, first)
            if port >= 0:
                return port
        raise DriverError(f"no port is left for a dyno: all from {BASE_PORT} on are taken")
