"""Property lists of launchd: a daemon for each dyno. See man 5 launchd.plist."""

from __future__ import annotations

import plistlib

from hsup.errors import HsupError
from hsup.exports.program import Export, Exported, Program, without_release_phase


def export(application: Exported, _directory: str) -> Export:
    """Return a property list for each dyno."""
    files = {}
    for one in application.dynos:
        label = f"{application.safe_app}-{one.name}"
        files[f"{label}.plist"] = _property_list(application, one, label)
    usage = "copy them to /Library/LaunchDaemons, then: launchctl load /Library/LaunchDaemons/FILE"
    return Export(files, usage, without_release_phase(application))


def _property_list(application: Exported, one: Program, label: str) -> str:
    log = f"/usr/local/var/log/{label}.log"
    content = {
        "Label": label,
        "ProgramArguments": list(one.argv),
        "EnvironmentVariables": dict(one.environment),
        "WorkingDirectory": application.directory,
        "UserName": application.user,
        "KeepAlive": True,
        "RunAtLoad": True,
        "ExitTimeOut": max(round(application.grace_seconds), 1),
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    try:
        text = plistlib.dumps(content, sort_keys=False).decode()
    except ValueError as error:  # a control character
        raise HsupError(f"cannot write a property list for {one.name}: {error}") from error
    if plistlib.loads(text.encode()) != content:  # all line ends become "\n"
        text = f"cannot write a property list for {one.name}: it cannot have a carriage return"
        raise HsupError(text, hint='end the lines of config vars and commands with "\\n"')
    header, rest = text.split("\n", 1)
    return f"{header}\n<!--\n{application.mark('launchd')}\n-->\n{rest}"
