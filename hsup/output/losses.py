"""Lines that somebody has lost, in the platform's words."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import NamedTuple

from hsup.api import LogBatch, LogEvent

#: What the platform calls itself where it says that lines are lost.
_LOGPLEX = "logplex"

#: The platform's texts: logplex, and log-shuttle's logplex_formatter.go for L12 and L13.
_TEXTS = {
    "L10": "Error L10 (output buffer overflow): {} messages dropped since {}.",
    "L11": "Error L11 (Tail buffer overflow) -> This tail session dropped {} messages since {}",
    "L12": "Error L12: {} messages dropped since {}",
    "L13": "Error L13: {} messages lost since {}",
}
_MICROSECONDS = frozenset({"L12", "L13"})


class Loss(NamedTuple):
    """How many lines were lost, why, by the platform's code, and when the first was read.

    `since` is in nanoseconds since the epoch.
    """

    code: str
    line_count: int
    since: int


def told(loss: Loss) -> LogBatch:
    """Return the line that tells a destination what it has lost."""
    text = _TEXTS[loss.code].format(loss.line_count, _stamp(loss))
    event = LogEvent("error", code=loss.code, of=loss)
    lines = f"{text}\n".encode()
    return LogBatch(time.time_ns(), "heroku", _LOGPLEX, "stdout", lines, event=event)


def _stamp(loss: Loss) -> str:
    """Return the time of the first lost line, as precise as the platform has it."""
    precision = "microseconds" if loss.code in _MICROSECONDS else "seconds"
    seconds, rest = divmod(loss.since, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.isoformat(timespec=precision)
