"""Keep the log lines that a sink is given."""

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
        """Tell whether there is no room."""
        return not self.room.is_set()

    async def drained(self) -> None:
        """Return when there is room."""
        await self.room.wait()

    async def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    def written(
        self, source: str = "app", stream: str | None = None, dyno: str | None = None
    ) -> bytes:
        """Return what came from a source, of one stream or dyno where that is given."""
        return b"".join(
            one.lines
            for one in self.batches
            if one.source == source and stream in (None, one.stream) and dyno in (None, one.dyno)
        )

    def said(self, dyno: str | None = None) -> list[str]:
        """Return the lines that hsup itself has said, of one dyno where that is given."""
        return self.written("hsup", dyno=dyno).decode().splitlines()

    async def until(self, is_so: Callable[[MemorySink], object]) -> None:
        """Return once something holds of this sink."""
        while not is_so(self):
            self._arrived.clear()
            await self._arrived.wait()
