"""Give back the allocation of a dyno, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hsup_driver_libcontainer.allocation import Allocation


class Holding:
    """The allocation of a dyno; `release` gives it back, and is called again if it failed."""

    def __init__(
        self, allocation: Allocation, release: Callable[[Allocation], Awaitable[None]]
    ) -> None:
        self.allocation = allocation
        self._release = release
        self._releasing: asyncio.Task[None] | None = None

    async def give_back(self) -> None:
        """Wait until it is given back; the dyno has ended. May be called again, also meanwhile."""
        releasing = self._releasing
        if releasing is None or (releasing.done() and releasing.exception()):
            releasing = self._releasing = asyncio.ensure_future(self._release(self.allocation))
        await asyncio.shield(releasing)
