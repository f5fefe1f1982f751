"""A log drain that keeps its blocks in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from hsup.api import LogBatch
from hsup.errors import DrainError
from hsup.log_drain import DrainLimits, LogBlock


class MemoryDrain:
    """Keeps what is delivered in `blocks`; raises the next of `errors` first, if there is one.

    It takes blocks only while `open` is set. `tried` has the id of each block, each time.
    """

    def __init__(self, limits: DrainLimits | None = None) -> None:
        self.limits = limits or DrainLimits(wait_seconds=0.0)
        self.blocks: list[LogBlock] = []
        self.tried: list[str] = []
        self.errors: deque[DrainError] = deque()
        self.open = asyncio.Event()
        self.open.set()
        self.is_closed = False
        self.most_at_once = 0
        self._at_once = 0
        self._arrived = asyncio.Event()

    async def deliver(self, block: LogBlock) -> None:
        """Keep a block."""
        self.tried.append(block.id)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self._arrived.set()
        try:
            await self.open.wait()
            if self.errors:
                raise self.errors.popleft()
            self.blocks.append(block)
        finally:
            self._at_once -= 1
            self._arrived.set()

    async def close(self) -> None:
        """Record that the drain was closed."""
        self.is_closed = True

    @property
    def batches(self) -> list[LogBatch]:
        """Return all batches that were delivered."""
        return [batch for block in self.blocks for batch in block.batches]

    def lines(self, source: str = "app", dyno: str | None = None) -> bytes:
        """Return the lines of a log source that were delivered, only those of one dyno if given."""
        return b"".join(
            batch.lines
            for batch in self.batches
            if batch.source == source and dyno in (None, batch.dyno)
        )

    async def until(self, is_so: Callable[[MemoryDrain], object]) -> None:
        """Wait until a condition on this drain holds."""
        while not is_so(self):
            self._arrived.clear()
            await self._arrived.wait()
