"""A line of hsup's own, and whose words it is in."""

from __future__ import annotations

from typing import NamedTuple

from hsup.api import LogEvent

#: The sources of lines, as in `LogBatch.source`: the platform has no words for it; the platform
#: says it of a dyno; or of what a person or a source has caused.
OWN, PLATFORM, CAUSED = "hsup", "heroku", "app"
#: The name of the event of lines with runtime metrics.
METRICS = "metrics"
#: What the platform calls itself where it speaks of drains and of lost lines.
LOGPLEX = "logplex"


class Line(NamedTuple):
    """A line of hsup's own: its text for people, its event for programs, its source."""

    text: str
    event: LogEvent
    source: str = OWN
