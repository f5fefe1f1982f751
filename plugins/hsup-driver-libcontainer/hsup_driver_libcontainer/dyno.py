"""A running dyno of the libcontainer driver."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hsup.errors import DynoStartError
from hsup.model import Address, ExitStatus
from hsup_driver_libcontainer import messages
from hsup_driver_libcontainer.container import Container
from hsup_driver_libcontainer.messages import Exited, Failed, Signal, Started, Watch
from hsup_driver_libcontainer.program import exit_status, start_error

_Result = TypeVar("_Result")


class ContainerDyno:
    """A dyno, seen from hsup: its first process at the other end of a channel."""

    def __init__(
        self,
        container: Container,
        channel: socket.socket,
        release: Callable[[Container], Awaitable[None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.address: Address | None = container.address
        self._container = container
        self._release = release
        self._channel = channel
        self._started: asyncio.Future[Started] = loop.create_future()
        self._ended: asyncio.Future[ExitStatus] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._released: asyncio.Task[None] | None = None
        self._is_empty = False
        self._pidfd = -1
        channel.setblocking(False)
        loop.add_reader(channel, self._hear)

    async def started(self) -> Started:
        """Return when the program was executed. Raises DynoStartError."""
        return await asyncio.shield(self._started)

    async def wait(self) -> ExitStatus:
        """Return how the program ended."""
        return await asyncio.shield(self._ended)

    async def signal(self, number: int) -> None:
        """Send a signal to every process, in one step."""
        self._say(Signal(number))

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Return when nothing is left of the dyno, having killed what outlived the grace."""
        try:
            async with asyncio.timeout(grace_seconds):
                await asyncio.shield(self._gone)
        except TimeoutError:
            pass
        killed = not self._gone.done() and not self._is_empty
        self._kill()
        await asyncio.shield(self._gone)
        if self._released is None:
            self._released = asyncio.ensure_future(self._release(self._container))
        await asyncio.shield(self._released)
        return killed

    def _say(self, message: messages.Message) -> None:
        try:
            messages.send(self._channel, message)
        except OSError:
            pass  # the dyno has ended

    def _kill(self) -> None:
        """End the first process, and so all others (man 7 pid_namespaces)."""
        if self._gone.done():
            return
        if self._pidfd >= 0:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        else:
            self._channel.shutdown(socket.SHUT_RDWR)  # it ends by itself

    def _hear(self) -> None:
        """Take what the first process says."""
        try:
            received = messages.receive(self._channel)
        except BlockingIOError:
            return
        if received is None:
            self._hang_up()
            return
        match received.message:
            case Watch():
                (self._pidfd,) = received.descriptors
                asyncio.get_running_loop().add_reader(self._pidfd, self._see_end)
            case Started():
                _settle(self._started, received.message)
            case Failed(0, text, number) if not self._started.done():
                self._started.set_exception(start_error(text, number))
            case Exited(0, status, is_last):
                self._is_empty = is_last
                _settle(self._ended, self._told(exit_status(status)))

    def _told(self, status: ExitStatus) -> ExitStatus:
        return status._replace(out_of_memory=self._container.ran_out_of_memory())

    def _hang_up(self) -> None:
        """Listen no more; a first process that nobody has seen is no more, or soon."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        if self._pidfd < 0:
            self._see_end()

    def _see_end(self) -> None:
        """Settle all that is awaited; the kernel has ended all other processes by now."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            while self._channel.fileno() >= 0:
                self._hear()  # what was said before the end
            os.close(self._pidfd)
            self._pidfd = -1
        if not self._started.done():
            self._started.set_exception(DynoStartError("the dyno was killed while it started"))
            self._started.exception()  # nobody may be waiting any more
        _settle(self._ended, self._told(ExitStatus(signal=signal.SIGKILL)))
        _settle(self._gone, None)


def _settle(future: asyncio.Future[_Result], result: _Result) -> None:
    if not future.done():
        future.set_result(result)
