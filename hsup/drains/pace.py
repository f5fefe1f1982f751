"""Tell whether a destination is so quick that dynos may wait for it.

A dyno can write faster than hsup can format and send: without a wait it would lose lines although
its receiver takes all that comes. A receiver that takes longer makes no dyno wait, whatever it
does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: A block of a thousand lines takes a receiver on the same network a millisecond or two; a busy
#: machine takes longer at times.
QUICK_SECONDS = 0.02


class Pace:
    """How quickly a destination has taken the last blocks."""

    def __init__(self, quick_seconds: float = QUICK_SECONDS) -> None:
        self._quick_seconds = quick_seconds
        self._is_quick = False
        self.on_slow: Callable[[], None] = lambda: None

    def is_quick(self) -> bool:
        """Tell whether dynos may wait until the destination has caught up."""
        return self._is_quick

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Judge the destination by how long it takes a block."""
        slow = asyncio.get_running_loop().call_later(self._quick_seconds, self._slow)
        was_taken = False
        try:
            yield
            was_taken = True
        finally:
            is_late = slow.when() <= asyncio.get_running_loop().time()
            slow.cancel()
            if was_taken and not is_late:
                self._is_quick = True
            else:
                self._slow()

    def _slow(self) -> None:
        self._is_quick = False
        self.on_slow()
