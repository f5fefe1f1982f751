"""How long to wait after failures, and what to say of them."""

from __future__ import annotations

import os
from collections import deque

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
_JITTER = 0.25
#: Of a destination that fails now and then, the same is said only once in that time, and
#: no more than so many different things.
_QUIET_SECONDS = 60.0
_MOST_SAID = 6


class Outage:
    """The failures of a destination since it last took a block."""

    def __init__(self) -> None:
        self._failures = 0
        self._reason: str | None = None  # that was said last
        self._said_at: deque[float] = deque(maxlen=_MOST_SAID)
        self._is_said = False  # that it fails, and not yet that it is over
        self._began = 0.0
        self._lost_before = 0

    def fail(self, reason: str, now: float, lost: int) -> bool:
        """Count a failure; return whether it is to be said.

        The first one is, and each with another reason, but the same one only once a minute, and
        no more than a few in all. `now` is in seconds of any clock, and `lost` the number of
        lines lost so far.
        """
        if not self._failures and not self._is_said:
            self._began, self._lost_before = now, lost
        self._failures += 1
        if reason == self._reason and (self._is_said or self._is_recent(-1, now)):
            return False
        if len(self._said_at) == _MOST_SAID and self._is_recent(0, now):
            return False
        self._reason, self._is_said = reason, True
        self._said_at.append(now)
        return True

    def _is_recent(self, index: int, now: float) -> bool:
        """Tell whether something was said within the time in which it is not said again."""
        return now - self._said_at[index] < _QUIET_SECONDS

    def end(self, now: float, lost: int) -> tuple[float, int] | None:
        """Note that a block was taken; return how long there were failures, and the lines lost.

        Return None if no failure was said.
        """
        self._failures = 0
        if not self._is_said:
            return None
        self._is_said = False
        return now - self._began, lost - self._lost_before

    def wait_seconds(self) -> float:
        """Return for how long to wait: twice as long after each failure, up to half a minute."""
        wait = min(_FIRST_SECONDS * 2.0 ** min(self._failures - 1, 16), _LONGEST_SECONDS)
        chance = int.from_bytes(os.urandom(4)) / 0xFFFFFFFF
        return wait * (1 + _JITTER * (2 * chance - 1))
