"""How long to wait after failures, and what to say of them."""

from __future__ import annotations

import os

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
_JITTER = 0.25


class Outage:
    """The failures of a destination since it last took a block."""

    def __init__(self) -> None:
        self._failures = 0
        self._reason: str | None = None  # that was said last
        self._began = 0.0
        self._lost_before = 0

    def fail(self, reason: str, now: float, lost: int) -> bool:
        """Count a failure; return whether it is to be said: the first one, or a new reason.

        `now` is in seconds of any clock, and `lost` the number of lines lost so far.
        """
        if not self._failures:
            self._began, self._lost_before = now, lost
        self._failures += 1
        is_new, self._reason = self._reason != reason, reason
        return is_new

    def end(self, now: float, lost: int) -> tuple[float, int] | None:
        """Note that a block was taken; return how long there were failures, and the lines lost.

        Return None if there were none.
        """
        if not self._failures:
            return None
        self._failures, self._reason = 0, None
        return now - self._began, lost - self._lost_before

    def wait_seconds(self) -> float:
        """Return for how long to wait: twice as long after each failure, up to half a minute."""
        wait = min(_FIRST_SECONDS * 2.0 ** min(self._failures - 1, 16), _LONGEST_SECONDS)
        chance = int.from_bytes(os.urandom(4)) / 0xFFFFFFFF
        return wait * (1 + _JITTER * (2 * chance - 1))
