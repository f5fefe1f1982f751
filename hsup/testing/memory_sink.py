"""A sink that keeps its log lines in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hsup.api import LogBatch


class MemorySink:
    """Keeps every batch in `batches`; it is full while `room` is not set."""

    def __init__(self) -> None:
        self.batches: list[LogBatch] = []
        self.is_closed = False
        self.room = asyncio.Event()
        self.room.set()
        self._arrived = asyncio.Event()

    def write(self, batch: LogBatch) -> None:
        """Keep a batch."""
        self.batches.append(batch)
        self._arrived.set()

    @property
    def is_full(self) -> bool:
        """Tell whether the sink has no room."""
        return not self.room.is_set()

    async def drained(self) -> None:
        """Wait until there is room."""
        await self.room.wait()

    async def close(self) -> None:
        """Record that the sink was closed."""
        self.is_closed = True

    def written(self, stream: str | None = None, dyno: str | None = None) -> bytes:
        """Return what dynos wrote, only to one stream or by one dyno if it is given."""
        return b"".join(
            batch.lines
            for batch in self.batches
            if batch.event is None and stream in (None, batch.stream) and dyno in (None, batch.dyno)
        )

    def said(self, dyno: str | None = None, source: str | None = None) -> list[str]:
        """Return the lines of hsup itself, only those about one dyno or of one source."""
        lines = b"".join(
            batch.lines
            for batch in self.batches
            if batch.event is not None
            and dyno in (None, batch.dyno)
            and source in (None, batch.source)
        )
        return lines.decode().splitlines()

    async def until(self, is_so: Callable[[MemorySink], object]) -> None:
        """Wait until a condition on this sink holds."""
        while not is_so(self):
            self._arrived.clear()
            await self._arrived.wait()
