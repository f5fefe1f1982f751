"""Keep spares: dynos that are made before they are asked for.

Joining a cgroup can take the kernel 10 ms and more, as it waits until no process can be
forking any more; a network takes some more. So hsup keeps dynos that have both and lack
only their files and programs, of the size that was started last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hsup.errors import HsupError
from hsup.sizes import Size
from hsup_driver_libcontainer.dyno import ContainerDyno

logger = logging.getLogger(__name__)

#: Enough for two starts in a row; each takes less than 3 MiB.
_COUNT = 2
#: How long after the last start a spare is made.
_QUIET_SECONDS = 0.02


class WarmPool:
    """The spares, oldest first; `make` makes another one."""

    def __init__(self, make: Callable[[Size], Awaitable[ContainerDyno]]) -> None:
        self._make = make
        self._ready: list[ContainerDyno] = []
        self._timer: asyncio.TimerHandle | None = None
        self._making: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[bool]] = set()

    def take(self, size: Size) -> ContainerDyno | None:
        """Return a spare that can be launched, None if there is none."""
        for spare in self._ready:
            if _is_usable(spare, size):
                self._ready.remove(spare)
                return spare
        return None

    def want(self, size: Size) -> None:
        """Make spares of a size soon."""
        self._size = size
        self._fill_soon()

    def close(self) -> None:
        """Stop making spares."""
        if self._timer is not None:
            self._timer.cancel()
        if self._making is not None:
            self._making.cancel()

    def _fill_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_QUIET_SECONDS, self._fill)

    def _fill(self) -> None:
        for spare in [spare for spare in self._ready if not _is_usable(spare, self._size)]:
            self._ready.remove(spare)
            task = asyncio.ensure_future(spare.destroy())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        if len(self._ready) < _COUNT and (self._making is None or self._making.done()):
            self._making = asyncio.ensure_future(self._make_one())

    async def _make_one(self) -> None:
        """Make a spare, and schedule the next one."""
        try:
            self._ready.append(await self._make(self._size))
        except (HsupError, OSError) as error:  # a start that needs a dyno reports it
            logger.info("could not prepare a spare dyno: %s", error)
            return
        self._fill_soon()


def _is_usable(spare: ContainerDyno, size: Size) -> bool:
    return spare.allocation.size == size and not spare.has_ended()
