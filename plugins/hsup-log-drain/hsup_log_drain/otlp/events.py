"""Say what an event is, in the words of OpenTelemetry."""

from __future__ import annotations

from hsup.api import LogEvent


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
