"""How long to wait after failures, and what to say of them."""

from __future__ import annotations

import os

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
_JITTER = 0.25
#: A destination that fails now and then is not spoken of more often than that.
_QUIET_SECONDS = 60.0


class Outage:
    """The failures of a destination since it last took a block."""

    def __init__(self) -> None:
        self._failures = 0
        self._reason: str | None = None  # that was said last
        self._said_at = -_QUIET_SECONDS
        self._is_said = False  # that it fails, and not yet that it is over
        self._began = 0.0
        self._lost_before = 0

    def fail(self, reason: str, now: float, lost: int) -> bool:
        """Count a failure; return whether it is to be said.

        The first one is, and a new reason, but no more often than once a minute. `now` is in
        seconds of any clock, and `lost` the number of lines lost so far.
        """
        if not self._failures and not self._is_said:
            self._began, self._lost_before = now, lost
        self._failures += 1
        if (self._is_said and reason == self._reason) or now - self._said_at < _QUIET_SECONDS:
            return False
        self._reason, self._said_at, self._is_said = reason, now, True
        return True

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
