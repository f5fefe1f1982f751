"""Say how severe lines are, the same in all destinations that show it."""

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
