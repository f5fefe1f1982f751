"""A configuration of supervisord, and a script for each dyno.

What follows a blank and a semicolon is a comment for supervisord, also between quotes: commands and
values stand in the scripts. A program has HOME, USER and LOGNAME of supervisord itself, not of its
user, so the scripts set these. See http://supervisord.org/configuration.html and
http://supervisord.org/subprocess.html#subprocess-environment.
"""

from __future__ import annotations

import os
import re
import shlex

from hsup.errors import HsupError
from hsup.exports.program import (
    Export,
    Exported,
    Program,
    require_names,
    require_plain,
    without_release_phase,
)

#: What bash sets itself, and passes on otherwise than it was set, or not at all.
OF_BASH = (
    "BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_CMDS BASH_COMMAND BASH_LINENO "
    "BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME "
    "GROUPS HISTCMD LINENO OPTIND PIPESTATUS PPID RANDOM SECONDS SHELLOPTS SHLVL SRANDOM UID _"
)
#: Escapes in a pattern of [include] (man 7 glob), and of `%`.
_IN_PATTERN = str.maketrans({"%": "%%", "*": "[*]", "?": "[?]", "[": "[[]"})
#: How often it starts a program again that ends at once: after 3 times, it would give up.
_RETRIES = 1_000_000


def export(application: Exported, directory: str) -> Export:
    """Return the configuration, and the scripts; `directory` is where they will be."""
    app = application.safe_app
    require_plain(directory, "supervisord")
    scripts = {f"{app}-{one.name}.sh": one for one in application.dynos}
    sections = [_section(application, os.path.join(directory, script)) for script in scripts]
    names = ",".join(script.removesuffix(".sh") for script in scripts)
    group = f"[group:{app}]\nprograms={names}\n"
    files = {f"{app}.conf": "\n".join([f"; {application.mark('supervisord')}", *sections, group])}
    files |= {script: _script(application, one) for script, one in scripts.items()}
    pattern = _pattern(os.path.join(directory, f"{app}.conf"))
    usage = f"to use it, have this in [include] of supervisord.conf: files = {pattern}"
    remarks = without_release_phase(application)
    return Export(files, usage, remarks, for_user=frozenset(scripts))


def _section(application: Exported, script: str) -> str:
    name = os.path.basename(script).removesuffix(".sh")
    lines = (
        f"[program:{name}]",
        f"command=/bin/bash {_word(script)}",
        f"user={application.user}",
        "autorestart=true",
        f"startretries={_RETRIES}",
        "stopsignal=TERM",
        f"stopwaitsecs={max(round(application.grace_seconds), 1)}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
    )
    return "\n".join(lines) + "\n"


def _word(text: str) -> str:
    """Return a word of a command line, without a blank before what would begin a comment."""
    return re.sub(r"(\s)([;#])", r"\1''\2", shlex.quote(text)).replace("%", "%%")


def _pattern(path: str) -> str:
    """Return a pattern of files that a path matches. No quotes keep one with blanks together."""
    return re.sub(r"\s", "?", path.translate(_IN_PATTERN))


def _script(application: Exported, one: Program) -> str:
    """Return a script that sets the config vars, which no argv has, and executes the command."""
    _require_settable(one)
    variables = (f"export {name}={shlex.quote(value)}" for name, value in one.environment.items())
    user = shlex.quote(application.user)
    account = "" if user.isdigit() else f"export HOME=~{user} USER={user} LOGNAME={user}"
    directory = f"cd {shlex.quote(application.directory)} || exit"
    last = f"exec {shlex.join(one.argv)}"
    lines = (
        "#!/bin/bash",
        f"# {application.mark('supervisord')}",
        account,
        directory,
        *variables,
        last,
    )
    return "\n".join(lines) + "\n"


def _require_settable(one: Program) -> None:
    """Raise HsupError for a config var that a script of bash cannot set."""
    require_names(one, "supervisord's script")
    if name := next((name for name in one.environment if name in OF_BASH.split()), None):
        text = f'supervisord\'s script takes no variable called "{name}", which bash sets itself'
        raise HsupError(text, hint="give it another name")
