"""Say how severe lines are, and what an event is, in the words of OpenTelemetry."""

from __future__ import annotations

from hsup.api import LogEvent

#: Short names of https://opentelemetry.io/docs/specs/otel/logs/data-model/#displaying-severity
INFO = "INFO"
WARN = "WARN"
ERROR = "ERROR"

_BY_NAME = {
    "warning": WARN,
    "error": ERROR,
    "release_rejected": ERROR,
    "source_failed": ERROR,
}


def severity(event: LogEvent | None) -> str:
    """Return the short name of a line's severity.

    What a dyno writes is INFO, on its standard error, too: the conventions recommend that for
    all that is not known to be an error, and many programs write all of their log there.
    Losses of lines (L10 and so on) are warnings, as on the platform; its other codes are errors.
    """
    if event is None:
        return INFO
    if event.code is not None:
        return WARN if event.code.startswith("L") else ERROR
    if event.state == "crashed":
        return ERROR
    return _BY_NAME.get(event.name, INFO)


def event_name(event: LogEvent) -> str:
    """Return the name of an event, with hsup as its namespace, as the conventions ask for."""
    return f"hsup.{event.name}"


def event_attributes(event: LogEvent) -> dict[str, str | int]:
    """Return the attributes of a line that tells an event.

    `event.name` is what the conventions had before records got a field for it; not every
    receiver shows the field.
    """
    known = {
        "event.name": event_name(event),
        "error.type": event.code,
        "heroku.dyno.state": event.state,
        "process.exit.code": event.status,
    }
    return {name: value for name, value in known.items() if value is not None}
