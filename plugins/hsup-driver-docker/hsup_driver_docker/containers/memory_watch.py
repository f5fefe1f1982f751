"""Watch for containers whose memory was used up.

The kernel then kills one process of a container, and the engine sends an event. A dyno has to end
as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable

from hsup.errors import TooManyProcesses
from hsup.threads import in_thread
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import EngineError, EngineUnreachable, Stream, read_some
from hsup_driver_docker.engine.events import OUT_OF_MEMORY, Event, Lines

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0


class MemoryWatch:
    """Calls `tell` with the id of each container with a label that runs out of memory."""

    def __init__(self, engine: Engine, label: str, tell: Callable[[str], None]) -> None:
        self._ask = lambda: engine.events([OUT_OF_MEMORY], label=label)
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._is_connected = asyncio.Event()

    async def begin(self) -> None:
        """Start to watch; return when connected, or when the first attempt has failed."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._listen())
        await self._is_connected.wait()

    def close(self) -> None:
        """Stop watching."""
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.cancel()

    async def _listen(self) -> None:
        while True:
            try:
                stream = await in_thread(self._ask)
            except (EngineUnreachable, EngineError, TooManyProcesses) as error:
                logger.debug("cannot watch for dynos that are out of memory: %s", error)
                self._is_connected.set()
            else:
                self._is_connected.set()
                await self._hear(stream)
            await asyncio.sleep(_RETRY_SECONDS)  # the engine may be restarting

    async def _hear(self, stream: Stream) -> None:
        lines = Lines()
        self._tell_of(lines.feed(stream.first))
        loop = asyncio.get_running_loop()
        with stream.socket as connected:
            connected.settimeout(0)
            while (data := await _readable(loop, connected)) != b"":
                self._tell_of(lines.feed(data or b""))

    def _tell_of(self, events: Iterable[Event]) -> None:
        for event in events:
            self._tell(event.container)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _readable(loop: asyncio.AbstractEventLoop, connected: socket.socket) -> bytes | None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connected, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(connected)
    return read_some(connected)
