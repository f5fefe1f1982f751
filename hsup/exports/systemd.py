"""Units of systemd: a service for each dyno, and a target for all of them.

See man 5 systemd.service, systemd.exec and systemd.unit. Config vars stand in files that only root
reads: what a unit has in `Environment=`, systemd tells every user.
"""

from __future__ import annotations

import os
import re
import shlex

from hsup.exports.program import (
    Export,
    Exported,
    Program,
    require_names,
    require_plain,
)

#: Escapes in double quotes of a command line (man 7 systemd.syntax), and of specifiers.
_IN_COMMAND = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "%": "%%", "$": "$$"}
)
#: Escapes in double quotes of an environment file.
_IN_FILE = str.maketrans({"\\": "\\\\", '"': '\\"', "`": "\\`", "$": "\\$"})
#: Escapes in a pattern of files (man 7 glob), which EnvironmentFile= is, and of specifiers.
_IN_PATTERN = str.maketrans({"\\": "\\\\", "*": "\\*", "?": "\\?", "[": "\\[", "%": "%%"})
#: systemd waits for ever if the time is 0.
_LEAST_SECONDS = 0.001


def export(application: Exported, directory: str) -> Export:
    """Return the units, and a file of config vars for each; `shop.target` has all dynos.

    `directory` is where the files will be.
    """
    app = application.safe_app
    for path in (application.directory, directory):
        require_plain(path, "systemd")
    release = application.release_phase
    phase = None if release is None else f"{app}-release"
    services = {f"{app}-{one.name}": one for one in application.dynos}
    files = {f"{app}.target": _target(application, services)}
    for name, one in {**({phase: release} if phase and release else {}), **services}.items():
        require_names(one, "systemd")
        env = os.path.join(directory, f"{name}.env")
        files[f"{name}.service"] = _service(application, one, env, first=phase, name=name)
        files[f"{name}.env"] = _variables(application, one)
    enable = f"systemctl daemon-reload && systemctl enable --now {app}.target"
    units = [os.path.join(directory, name) for name in files if not name.endswith(".env")]
    return Export(files, f"to use them: systemctl link {shlex.join(units)} && {enable}")


def _target(application: Exported, services: dict[str, Program]) -> str:
    wanted = " ".join(f"{name}.service" for name in services)
    return (
        f"# {application.mark('systemd')}\n"
        "[Unit]\n"
        f"Description={application.safe_app}\n"
        f"Wants={wanted}\n"
        "\n[Install]\nWantedBy=multi-user.target\n"
    )


def _service(application: Exported, one: Program, env: str, *, first: str | None, name: str) -> str:
    is_first = name == first
    after = f"Requires={first}.service\nAfter={first}.service\n" if first and not is_first else ""
    kind = "Type=oneshot\nRemainAfterExit=yes" if is_first else "Restart=always\nRestartSec=1"
    grace = max(application.grace_seconds, _LEAST_SECONDS)
    return (
        f"# {application.mark('systemd')}\n"
        "[Unit]\n"
        f"Description={application.safe_app}: {'release phase' if is_first else one.name}\n"
        f"PartOf={application.safe_app}.target\n"
        "After=network.target\n"
        f"{after}"
        "StartLimitIntervalSec=0\n"
        "\n[Service]\n"
        f"User={application.user}\n"
        f"WorkingDirectory={application.directory.replace('%', '%%')}\n"
        f"EnvironmentFile={env.translate(_IN_PATTERN)}\n"
        f"ExecStart={' '.join(map(_word, one.argv))}\n"
        f"{kind}\n"
        f"TimeoutStopSec={round(grace * 1000)}ms\n"
        f"SyslogIdentifier={name}\n"
    )


def _variables(application: Exported, one: Program) -> str:
    lines = (f'{name}="{value.translate(_IN_FILE)}"\n' for name, value in one.environment.items())
    return f"# {application.mark('systemd')}\n{''.join(lines)}"


def _word(text: str) -> str:
    """Return a word of a command line, in which variables are not replaced by systemd."""
    is_plain = re.fullmatch(r"[a-zA-Z0-9/_.=:@-]+", text)
    return text if is_plain else f'"{text.translate(_IN_COMMAND)}"'
