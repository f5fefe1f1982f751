"""What a destination has lost, in the platform's words."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from hsup.api import LogBatch, LogEvent

#: What the platform calls itself where it says that a drain has lost lines.
_LOGPLEX = "logplex"
#: The code for a block that could not be delivered.
UNDELIVERED = "L13"

#: The platform's texts (logplex and log-shuttle, logplex_formatter.go).
_TEXTS = {
    "L10": "Error L10 (output buffer overflow): {} messages dropped since {}.",
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


class Losses:
    """Adds up what a destination has lost since it was last told."""

    def __init__(self) -> None:
        self.total = 0
        self._untold: dict[str, Loss] = {}

    def add(self, loss: Loss) -> None:
        """Count lines that are lost."""
        self.total += loss.line_count
        self.add_untold((loss,))

    def add_untold(self, losses: Iterable[Loss]) -> None:
        """Have losses told again: what told them was lost itself."""
        for loss in losses:
            if (before := self._untold.get(loss.code)) is not None:
                count = before.line_count + loss.line_count
                since = min(before.since, loss.since)
                self._untold[loss.code] = Loss(loss.code, count, since)
            else:
                self._untold[loss.code] = loss

    def take_untold(self) -> tuple[Loss, ...]:
        """Return what is to be told now."""
        untold = tuple(self._untold.values())
        self._untold.clear()
        return untold

    @property
    def is_told(self) -> bool:
        """Tell whether the destination has been told of everything."""
        return not self._untold


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
