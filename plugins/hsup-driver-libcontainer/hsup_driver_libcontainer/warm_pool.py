"""Have dynos ready before they are asked for.

To join a cgroup can take the kernel 10 ms and more, for it waits until no process
can be forking any more; a network takes some more. So hsup keeps dynos that have
all of it and only lack their files and programs, of the size that was started last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hsup.errors import HsupError
from hsup.sizes import Size
from hsup_driver_libcontainer.dyno import ContainerDyno

logger = logging.getLogger(__name__)

#: A dyno that is asked for right after another finds one too; each takes less than 3 MiB.
_COUNT = 2
#: How long no dyno has been started, before one is made for the next.
_QUIET_SECONDS = 0.02


class WarmPool:
    """The dynos that are ready, the oldest first; `make` makes another one."""

    def __init__(self, make: Callable[[Size], Awaitable[ContainerDyno]]) -> None:
        self._make = make
        self._ready: list[ContainerDyno] = []
        self._timer: asyncio.TimerHandle | None = None
        self._making: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[bool]] = set()

    def take(self, size: Size) -> ContainerDyno | None:
        """Return a dyno that can be launched, None if there is none."""
        for spare in self._ready:
            if _is_usable(spare, size):
                self._ready.remove(spare)
                return spare
        return None

    def want(self, size: Size) -> None:
        """Have some ready soon."""
        self._size = size
        self._fill_soon()

    def close(self) -> None:
        """Make no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._making is not None:
            self._making.cancel()

    def _fill_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_QUIET_SECONDS, self._fill)

    def _fill(self) -> None:
        for spare in [one for one in self._ready if not _is_usable(one, self._size)]:
            self._ready.remove(spare)
            task = asyncio.ensure_future(spare.destroy())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        if len(self._ready) < _COUNT and (self._making is None or self._making.done()):
            self._making = asyncio.ensure_future(self._make_one())

    async def _make_one(self) -> None:
        """Make one, and the next when hsup has done what came meanwhile."""
        try:
            self._ready.append(await self._make(self._size))
        except (HsupError, OSError) as error:  # who needs one will be told
            logger.info("could not prepare a spare dyno: %s", error)
            return
        self._fill_soon()


def _is_usable(spare: ContainerDyno, size: Size) -> bool:
    return spare.place.size == size and not spare.has_ended()
