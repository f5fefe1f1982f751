"""Tell whether a destination is so quick that dynos may wait for it.

A dyno can write faster than hsup can format and send: without a wait it would lose lines although
its receiver takes all that comes. A receiver that takes longer makes no dyno wait, whatever it
does. The time for which hsup itself was busy does not count: then it is not the receiver that is
slow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: What a receiver on the same network takes a few milliseconds for; a busy machine takes longer.
QUICK_SECONDS = 0.02
QUICK_BYTES = 1 << 16


class Pace:
    """How quickly a destination has taken the last blocks.

    It is quick if it takes QUICK_BYTES within `quick_seconds`, and less as well.
    """

    def __init__(
        self,
        quick_seconds: float = QUICK_SECONDS,
        busy_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._quick_seconds = quick_seconds
        self._busy_clock = busy_clock
        self._is_quick = False
        self.on_slow: Callable[[], None] = lambda: None

    def is_quick(self) -> bool:
        """Tell whether dynos may wait until the destination has caught up."""
        return self._is_quick

    @contextmanager
    def timed(self, byte_count: int = 0) -> Iterator[None]:
        """Judge the destination by how long it takes a block of so many bytes."""
        seconds = self._quick_seconds * max(byte_count / QUICK_BYTES, 1)
        watch = _Watch(seconds, self._busy_clock, self._slow)
        was_taken = False
        try:
            yield
            was_taken = True
        finally:
            is_late = watch.end()
            if was_taken and not is_late:
                self._is_quick = True
            else:
                self._slow()

    def _slow(self) -> None:
        self._is_quick = False
        self.on_slow()


class _Watch:
    """Calls `on_late` once hsup has waited for so many seconds in which it was not busy."""

    def __init__(
        self, seconds: float, busy_clock: Callable[[], float], on_late: Callable[[], None]
    ) -> None:
        self._seconds = seconds
        self._busy_clock = busy_clock
        self._on_late = on_late
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time() - busy_clock()
        self._timer = self._loop.call_later(seconds, self._look)

    def end(self) -> bool:
        """End the watch; return whether it took too long."""
        self._timer.cancel()
        return self._left_seconds() <= 0

    def _look(self) -> None:
        if (left := self._left_seconds()) > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._on_late()

    def _left_seconds(self) -> float:
        return self._seconds - (self._loop.time() - self._busy_clock() - self._begun)
