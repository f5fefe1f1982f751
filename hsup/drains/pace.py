"""Have dynos wait a moment for a destination that is about to catch up.

A dyno can write faster than hsup can format and send: without a wait it would lose lines although
its receiver takes all that comes. Whether a receiver does, shows while dynos wait: if it takes too
little then, and hsup has nothing to do, they wait no longer, and not again for a while, which is
longer each time. For one that fails, no dyno waits at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

#: For how long dynos wait at first, and how much has to be taken meanwhile: 1.3 MB/s.
WAIT_SECONDS = 0.1
LEAST_BYTES = 1 << 17
#: If hsup is busy for a larger part of that time, it is hsup that takes long, and not the receiver.
_BUSY_PART = 0.3
#: How long no dyno waits after a wait that was in vain: at first, and at most.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0


class Reading(Protocol):
    """A reader that dynos wait for."""

    @property
    def read_bytes(self) -> int:
        """Return how much it has read, of all that was ever written."""

    def release(self) -> None:
        """Have dynos wait no longer."""


class Pace:
    """Decides whether dynos wait for a destination."""

    def __init__(
        self,
        wait_seconds: float = WAIT_SECONDS,
        clock: Callable[[], float] | None = None,
        busy_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._wait_seconds = wait_seconds
        self._clock = clock or asyncio.get_running_loop().time
        self._busy_clock = busy_clock
        self._busy_before = 0.0
        self._fails = False
        self._pause_seconds = 0.0
        self._paused_until = 0.0
        self._waited_for: Reading | None = None
        self._before_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def may_wait(self) -> bool:
        """Tell whether dynos may wait until the destination has caught up."""
        return not self._fails and self._clock() >= self._paused_until

    def begin(self, reader: Reading) -> None:
        """Note that dynos wait for a reader from now on."""
        self._waited_for, self._before_bytes = reader, reader.read_bytes
        self._busy_before = self._busy_clock()
        self._timer = asyncio.get_running_loop().call_later(self._wait_seconds, self._look)

    def end(self) -> None:
        """Note that no dyno waits any more, as the reader has caught up, or was told to."""
        self._waited_for = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._pause_seconds = 0.0

    def note_failure(self) -> None:
        """Have no dyno wait as long as the destination fails."""
        self._fails = True
        if self._waited_for is not None:
            self._waited_for.release()

    def note_success(self) -> None:
        """Note that the destination has taken a block."""
        self._fails = False

    def _look(self) -> None:
        """Let dynos wait on if the destination takes enough; if not, pause."""
        reader = self._waited_for
        assert reader is not None
        read = reader.read_bytes - self._before_bytes
        busy_seconds = self._busy_clock() - self._busy_before
        if read >= LEAST_BYTES or busy_seconds >= _BUSY_PART * self._wait_seconds:
            self.begin(reader)
            return
        self._timer = None
        self._pause_seconds = min(
            max(2 * self._pause_seconds, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS
        )
        self._paused_until = self._clock() + self._pause_seconds
        reader.release()
