"""Say how severe lines are, for the destinations that ask."""

from __future__ import annotations

from enum import Enum

from hsup.api import LogEvent
from hsup_log_drain.frames import LOSSES


class Severity(Enum):
    """How severe a line is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_BY_NAME = {
    "warning": Severity.WARNING,
    "error": Severity.ERROR,
    "release_rejected": Severity.ERROR,
    "source_failed": Severity.ERROR,
}


def severity(event: LogEvent | None) -> Severity:
    """Return how severe the line of an event is; None is for a line that a dyno wrote.

    Such a line is an INFO, on standard error, too: OpenTelemetry recommends that for all that is
    not known to be an error, and many programs write all of their log there. Losses of lines
    (L10 and so on) are warnings, as on the platform; its other codes are errors.
    """
    if event is None:
        return Severity.INFO
    if event.code is not None:
        return Severity.WARNING if event.code in LOSSES else Severity.ERROR
    if event.state == "crashed":
        return Severity.ERROR
    return _BY_NAME.get(event.name, Severity.INFO)
