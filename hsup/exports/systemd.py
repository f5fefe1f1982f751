"""Units of systemd: a service for each dyno, and a target for all of them.

See man 5 systemd.service, systemd.exec and systemd.unit.
"""

from __future__ import annotations

import re

from hsup.exports.program import Export, Exported, Program

#: What a unit's name may have (man 7 systemd.unit).
_UNSAFE = re.compile(r"[^a-zA-Z0-9:_.-]")
#: Escapes inside double quotes (man 7 systemd.syntax), and of specifiers.
_ESCAPES = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "%": "%%"}
)


def export(application: Exported) -> Export:
    """Return the units: `shop.target` starts and stops all dynos."""
    app = _UNSAFE.sub("-", application.app)
    services = {f"{app}-{one.name}.service": one for one in application.dynos}
    files = {f"{app}.target": _target(application, services)}
    release = application.release_phase
    phase = f"{app}-release.service" if release else None
    if release and phase:
        files[phase] = _service(application, release, app, first=None, is_once=True)
    for name, one in services.items():
        files[name] = _service(application, one, app, first=phase)
    enable = f"systemctl daemon-reload && systemctl enable --now {app}.target"
    return Export(files, (f"copy them to /etc/systemd/system, then: {enable}",))


def _target(application: Exported, services: dict[str, Program]) -> str:
    return (
        "[Unit]\n"
        f"Description={_plain(application.app)}\n"
        f"Wants={' '.join(services)}\n"
        "\n[Install]\nWantedBy=multi-user.target\n"
    )


def _service(
    application: Exported, one: Program, app: str, *, first: str | None, is_once: bool = False
) -> str:
    title = "release phase" if is_once else str(one.name)
    before = [f"Requires={first}", f"After={first}"] if first else []
    restart = (
        ["Type=oneshot", "RemainAfterExit=yes"] if is_once else ["Restart=always", "RestartSec=1"]
    )
    lines = [
        "[Unit]",
        f"Description={_plain(application.app)}: {title}",
        f"PartOf={app}.target",
        "After=network.target",
        *before,
        "",
        "[Service]",
        f"User={application.user}",
        f"WorkingDirectory={_plain(application.directory)}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in one.environment.items()),
        f"ExecStart={' '.join(_word(word) for word in one.argv)}",
        *restart,
        f"TimeoutStopSec={application.grace_seconds:g}",
        f"SyslogIdentifier={app}-{one.name}",
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _word(text: str) -> str:
    """Return a word of a command line, in which variables are not replaced by systemd."""
    escaped = _quoted(text.replace("$", "$$"))
    return escaped if re.search(r"[^a-zA-Z0-9/_.=:@-]", text) or not text else text
