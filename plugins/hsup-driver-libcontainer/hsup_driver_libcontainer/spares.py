"""Have a dyno ready before one is asked for.

To join a cgroup can take the kernel 10 ms and more, for it waits until no process
can be forking any more; a network takes some more. So hsup keeps one dyno that has
all of it and only lacks its files and its program, of the size that was started last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hsup.errors import DriverError
from hsup.sizes import Size
from hsup_driver_libcontainer.dyno import ContainerDyno

logger = logging.getLogger(__name__)

#: How long no dyno has been started, before one is made for the next.
_QUIET_SECONDS = 0.02


class Spares:
    """The dyno that is ready; `make` makes another one."""

    def __init__(self, make: Callable[[Size], ContainerDyno]) -> None:
        self._make = make
        self._spare: ContainerDyno | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Task[bool]] = set()

    def take(self, size: Size) -> ContainerDyno:
        """Return a dyno that can be launched. Raises DriverError."""
        spare = self._spare
        if spare is None or spare.place.size != size or spare.has_ended():
            return self._make(size)
        self._spare = None
        return spare

    def want(self, size: Size) -> None:
        """Have one ready soon."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_QUIET_SECONDS, self._fill, size)

    def close(self) -> ContainerDyno | None:
        """Make no more; return the one that is left."""
        if self._timer is not None:
            self._timer.cancel()
        return self._spare

    def _fill(self, size: Size) -> None:
        spare = self._spare
        if spare is not None:
            if spare.place.size == size and not spare.has_ended():
                return
            task = asyncio.ensure_future(spare.destroy())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        try:
            self._spare = self._make(size)
        except DriverError as error:  # who needs one will be told
            self._spare = None
            logger.info("cannot have a dyno ready: %s", error)
