"""A running dyno of the libcontainer driver."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from hsup.errors import DynoStartError
from hsup.model import Address, Command, DynoSpec, ExitStatus
from hsup_driver_libcontainer import messages, plan
from hsup_driver_libcontainer.messages import (
    OWN,
    Execute,
    Exited,
    Failed,
    Launch,
    Signal,
    Started,
    Watch,
)
from hsup_driver_libcontainer.place import Place
from hsup_driver_libcontainer.program import exit_status, program, start_error

_Result = TypeVar("_Result")


class ContainerDyno:
    """A dyno, seen from hsup: its first process at the other end of a channel.

    `release` gives back what the dyno had of the machine when it is gone.
    """

    def __init__(
        self,
        place: Place,
        channel: socket.socket,
        release: Callable[[Place], Awaitable[None]],
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.place = place
        self.address: Address | None = None
        self.gone: asyncio.Future[None] = loop.create_future()
        self._release = release
        self._channel = channel
        self._started: asyncio.Future[Started] = loop.create_future()
        self._ends: dict[int, asyncio.Future[ExitStatus]] = {OWN: loop.create_future()}
        self._numbers = itertools.count(OWN + 1)
        self._released: asyncio.Task[None] | None = None
        self._is_empty = False
        self._ran_out_of_memory = False
        self._pidfd = -1
        os.set_blocking(channel.fileno(), False)
        loop.add_reader(channel, self._hear)
        self._memory_event = place.group.out_of_memory_event()
        if self._memory_event is not None:
            loop.add_reader(self._memory_event, self._run_out_of_memory)

    def launch(self, spec: DynoSpec, descriptors: Sequence[int]) -> None:
        """Have the first process start a program; the descriptors are those of `Launch`."""
        self._spec = spec
        self.address = Address(self.place.subnet.dyno, spec.port) if spec.port else None
        messages.say(self._channel, Launch(), descriptors)

    async def started(self) -> Started:
        """Return when the program was executed. Raises DynoStartError."""
        return await asyncio.shield(self._started)

    async def wait(self) -> ExitStatus:
        """Return how the program ended."""
        return await asyncio.shield(self._ends[OWN])

    async def signal(self, number: int) -> None:
        """Send a signal to every process, in one step."""
        messages.say(self._channel, Signal(number))

    async def execute(self, command: Command, streams: Sequence[int]) -> Execution:
        """Start a command beside the dyno's program. Raises DynoStartError."""
        number = next(self._numbers)
        self._ends[number] = self._loop.create_future()
        file = plan.write(program(self._spec._replace(command=command)))
        try:
            messages.send(self._channel, Execute(number), [file, *streams])
        except OSError as error:
            raise DynoStartError("the dyno has ended") from error
        finally:
            os.close(file)
        return Execution(number, self._ends[number], self._channel)

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Return when nothing is left of the dyno, having killed what outlived the grace."""
        try:
            async with asyncio.timeout(grace_seconds):
                await asyncio.shield(self.gone)
        except TimeoutError:
            pass
        killed = not self.gone.done() and not self._is_empty
        self._kill()
        await asyncio.shield(self.gone)
        if self._released is None:
            self._released = asyncio.ensure_future(self._release(self.place))
        await asyncio.shield(self._released)
        return killed

    def abandon(self) -> None:
        """End a dyno that was never launched, and block until it has.

        The event loop is running, or closed already.
        """
        if self.gone.done():
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._channel)
        os.set_blocking(self._channel.fileno(), True)
        while self._pidfd < 0 and (received := messages.receive(self._channel)):
            if isinstance(received.message, Watch):
                (self._pidfd,) = received.descriptors
        self._kill()
        self._channel.close()
        if self._pidfd >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._pidfd)
            end = select.poll()
            end.register(self._pidfd, select.POLLIN)
            end.poll()
            os.close(self._pidfd)
        self._close_memory_event()

    def _kill(self) -> None:
        """End the first process, and so all others (man 7 pid_namespaces)."""
        if self.gone.done():
            return
        if self._pidfd < 0:
            self._channel.shutdown(socket.SHUT_RDWR)  # it ends by itself
            return
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended

    def _hear(self) -> bool:
        """Take what the first process says; tell whether it may have said more."""
        try:
            received = messages.receive(self._channel)
        except BlockingIOError:
            return False
        if received is None:
            self._hang_up()
            return False
        match received.message:
            case Watch():
                (self._pidfd,) = received.descriptors
                self._loop.add_reader(self._pidfd, self._see_end)
            case Started():
                _settle(self._started, received.message)
            case Failed(number, text):
                self._fail(number, start_error(text))
            case Exited(number, status, is_last):
                self._is_empty = is_last
                _settle(self._ends[number], self._told(exit_status(status)))
        return True

    def _fail(self, number: int, error: DynoStartError) -> None:
        waiting: asyncio.Future[Started] | asyncio.Future[ExitStatus]
        waiting = self._ends[number] if number != OWN else self._started
        if not waiting.done():
            waiting.set_exception(error)
            waiting.exception()  # nobody may be waiting any more

    def _told(self, status: ExitStatus) -> ExitStatus:
        ran_out = self._ran_out_of_memory or self.place.ran_out_of_memory()
        return status._replace(out_of_memory=ran_out)

    def _run_out_of_memory(self) -> None:
        """End all processes: the kernel has chosen one of them only."""
        self._close_memory_event()
        self._ran_out_of_memory = True
        messages.say(self._channel, Signal(signal.SIGKILL))

    def _close_memory_event(self) -> None:
        if self._memory_event is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._memory_event)
            os.close(self._memory_event)
            self._memory_event = None

    def _hang_up(self) -> None:
        """Listen no more; a first process that nobody has seen is no more, or soon."""
        self._loop.remove_reader(self._channel)
        self._channel.close()
        if self._pidfd < 0:
            self._see_end()

    def _see_end(self) -> None:
        """Settle all that is awaited; the kernel has ended all other processes by now."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            while self._channel.fileno() >= 0 and self._hear():
                pass  # what was said before the end
            if self._channel.fileno() >= 0:
                self._hang_up()
            os.close(self._pidfd)
            self._pidfd = -1
        self._close_memory_event()
        self._fail(OWN, DynoStartError("the dyno was killed while it started"))
        for end in self._ends.values():
            _settle(end, self._told(ExitStatus(signal=signal.SIGKILL)))
        _settle(self.gone, None)


class Execution:
    """A command that runs in a dyno beside its program."""

    def __init__(
        self,
        number: int,
        end: asyncio.Future[ExitStatus],
        channel: socket.socket,
    ) -> None:
        self._number = number
        self._end = end
        self._channel = channel

    async def wait(self) -> ExitStatus:
        """Return how the command ended. Raises DynoStartError if it could not be executed."""
        return await asyncio.shield(self._end)

    async def signal(self, number: int) -> None:
        """Send a signal to the command's process; nothing if that has ended."""
        messages.say(self._channel, Signal(number, self._number))


def _settle(future: asyncio.Future[_Result], result: _Result) -> None:
    if not future.done():
        future.set_result(result)
