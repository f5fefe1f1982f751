"""Property lists of launchd: an agent or daemon for each dyno. See man 5 launchd.plist."""

from __future__ import annotations

import plistlib
import re

from hsup.exports.program import Export, Exported, without_release_phase


def export(application: Exported) -> Export:
    """Return a property list for each dyno."""
    app = re.sub(r"[^a-zA-Z0-9_-]", "-", application.app)
    files = {}
    for one in application.dynos:
        label = f"{app}-{one.name}"
        content = {
            "Label": label,
            "ProgramArguments": list(one.argv),
            "EnvironmentVariables": dict(one.environment),
            "WorkingDirectory": application.directory,
            "UserName": application.user,
            "KeepAlive": True,
            "RunAtLoad": True,
            "ExitTimeOut": max(round(application.grace_seconds), 1),
            "StandardOutPath": f"/usr/local/var/log/{label}.log",
            "StandardErrorPath": f"/usr/local/var/log/{label}.log",
        }
        files[f"{label}.plist"] = plistlib.dumps(content, sort_keys=False).decode()
    remark = "copy them to /Library/LaunchDaemons, then: launchctl load /Library/LaunchDaemons/FILE"
    return Export(files, (remark, *without_release_phase(application)))
