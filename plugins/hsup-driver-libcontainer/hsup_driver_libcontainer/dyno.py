"""A running dyno of the libcontainer driver."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TypeVar

from hsup.errors import DynoStartError
from hsup.model import Address, Command, DynoSpec, ExitStatus
from hsup_driver_libcontainer.child import kernel, messages, plan
from hsup_driver_libcontainer.child.messages import (
    Built,
    Channels,
    Exited,
    Failed,
    Launch,
    Signal,
    Watch,
)
from hsup_driver_libcontainer.child.processes import children_of, holders_of, is_stopped, pid_of
from hsup_driver_libcontainer.place import Place
from hsup_driver_libcontainer.program import exit_status, program, start_error

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: How often to look whether somebody has stopped a process that a dyno's start depends on.
_LOOK_SECONDS = 5.0


class ContainerDyno:
    """A dyno, seen from hsup: its first process at the other end of a channel.

    `execute` has a command started beside its program, see `beside.fork`, and
    `release` gives back what the dyno had of the machine when it is gone. `end_stuck`
    ends a zygote that does not get on; it is told for how many seconds that has been so.
    `memory_event` is that of `Group.out_of_memory_event`, which is closed here.
    """

    def __init__(
        self,
        place: Place,
        channels: Channels,
        execute: Callable[[Sequence[int]], None],
        release: Callable[[Place], Awaitable[None]],
        end_stuck: Callable[[float], None],
        *,
        memory_event: int | None,
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.place = place
        self.address: Address | None = None
        self.gone: asyncio.Future[None] = loop.create_future()
        self._execute = execute
        self._release = release
        self._end_stuck = end_stuck
        self._channel, self._setup, self._held = channels
        self._built: Built | None = None
        self._started: asyncio.Future[Built] = loop.create_future()
        self._end: asyncio.Future[ExitStatus] = loop.create_future()
        self._released: asyncio.Task[None] | None = None
        self._executions: set[Execution] = set()
        self.is_launched = False
        self._is_empty = False
        self._ran_out_of_memory = False
        self._pidfd = -1
        self._looks = 0
        self._look_timer = loop.call_later(_LOOK_SECONDS, self._look)
        for channel, hear in ((self._channel, self._hear), (self._setup, self._hear_builder)):
            os.set_blocking(channel.fileno(), False)
            loop.add_reader(channel, hear)
        self._memory_event = memory_event
        if self._memory_event is not None:
            loop.add_reader(self._memory_event, self._run_out_of_memory)

    def launch(self, spec: DynoSpec, descriptors: Sequence[int]) -> None:
        """Have the builder start a program; the descriptors are those of `Launch`."""
        self.is_launched = True
        self._spec = spec
        self.address = Address(self.place.subnet.dyno, spec.port) if spec.port else None
        self._look_soon()
        messages.say(self._setup, Launch(), descriptors)

    def has_ended(self) -> bool:
        """Tell whether a dyno that was never launched cannot be any more, heard of or not."""
        self._hear_rest_of_builder()
        if not self.gone.done() and self._pidfd >= 0 and kernel.has_ended(self._pidfd):
            self._see_end()
        return self.gone.done() or self._started.done()  # or its builder has failed

    async def started(self) -> Built:
        """Return when the program was executed. Raises DynoStartError."""
        return await asyncio.shield(self._started)

    async def wait(self) -> ExitStatus:
        """Return how the program ended."""
        return await asyncio.shield(self._end)

    async def signal(self, number: int) -> None:
        """Send a signal to every process, in one step."""
        messages.say(self._channel, Signal(number))

    async def execute(self, command: Command, streams: Sequence[int]) -> Execution:
        """Start a command beside the dyno's program. Raises DynoStartError."""
        if self._pidfd < 0:
            raise DynoStartError("the dyno has ended")
        with ExitStack() as undo, ExitStack() as lent:
            ours, theirs = messages.pair()
            undo.enter_context(ours)
            lent.enter_context(theirs)
            file = plan.write(program(self._spec._replace(command=command)))
            lent.callback(os.close, file)
            self._execute((theirs.fileno(), self._pidfd, file, *streams))
            undo.pop_all()
        execution = Execution(ours, self._forget_execution)
        self._executions.add(execution)
        return execution

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
        if self._released is None or (self._released.done() and self._released.exception()):
            self._released = asyncio.ensure_future(self._release(self.place))
        await asyncio.shield(self._released)
        return killed

    def abandon(self) -> None:
        """End a dyno and hear no more of it; block until one that was never launched has ended.

        The event loop is running, or closed already.
        """
        for execution in list(self._executions):
            execution.close()
        if self.gone.done():
            return
        self._look_timer.cancel()
        for channel in (self._channel, self._setup):
            if channel.fileno() >= 0 and not self._loop.is_closed():
                self._loop.remove_reader(channel)
        if self._setup.fileno() >= 0:
            self._wait_for_first_process()
        self._kill()
        self._channel.close()
        self._setup.close()
        if self._pidfd >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._pidfd)
            if not self.is_launched:
                kernel.has_ended(self._pidfd, timeout_ms=None)
            os.close(self._pidfd)
        self._close_memory_event()

    def _forget_execution(self, execution: Execution) -> None:
        self._executions.discard(execution)

    def _wait_for_first_process(self) -> None:
        """Block until it is there, or cannot be any more."""
        os.set_blocking(self._setup.fileno(), True)
        patience_ms = int(_LOOK_SECONDS * 1000)
        if self._pidfd < 0 and not kernel.is_ready(self._setup.fileno(), patience_ms):
            self._end_stuck(math.inf)
            self._end_stopped()
        while self._pidfd < 0 and (received := messages.receive(self._setup)):
            if isinstance(received.message, Watch):
                (self._pidfd,) = received.descriptors

    def _look_soon(self) -> None:
        self._looks = 0
        self._look_timer.cancel()
        self._look_timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """See that nobody who was stopped keeps the dyno from being started, or from its end."""
        self._look_timer = self._loop.call_later(_LOOK_SECONDS, self._look)
        self._looks += 1
        try:
            if self._pidfd < 0:
                self._end_stuck(self._looks * _LOOK_SECONDS)
                self._end_stopped()
            elif self._is_stopped():
                self._fail_stopped()
                self._kill()
        except OSError:  # too many files are open to look into /proc
            logger.debug("cannot look at the processes of a dyno", exc_info=True)

    def _is_stopped(self) -> bool:
        first = pid_of(self._pidfd)
        return any(map(is_stopped, (first, *children_of(first))))

    def _end_stopped(self) -> None:
        """End processes of the dyno that were stopped before hsup knew of them."""
        try:
            for pid in filter(is_stopped, holders_of(self._held)):
                self._fail_stopped()
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        except OSError:  # too many files are open to look into /proc
            logger.debug("cannot look for the processes of a dyno", exc_info=True)

    def _fail_stopped(self) -> None:
        self._fail(start_error(f"one of its processes was stopped for {_LOOK_SECONDS:g} s"))

    def _kill(self) -> None:
        """End the first process, and so all others (man 7 pid_namespaces)."""
        if self.gone.done():
            return
        if self._pidfd < 0:
            self._shut_down()
            return
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended

    def _shut_down(self) -> None:
        """Have a first process that nobody has seen end by itself."""
        for channel in (self._channel, self._setup):
            if channel.fileno() >= 0:
                channel.shutdown(socket.SHUT_RDWR)

    def _hear_builder(self) -> bool:
        """Take what the builder says; tell whether it may have said more."""
        try:
            received = messages.receive(self._setup)
        except BlockingIOError:
            return False
        except OSError as error:  # too many files are open for what came with it
            self._fail_for(error)
            return True
        if received is None:
            self._see_built()
            return False
        match received.message:
            case Watch():
                (self._pidfd,) = received.descriptors
                self._loop.add_reader(self._pidfd, self._see_end)
                self._look_timer.cancel()  # until it is launched
                if self.is_launched:
                    self._look_soon()
            case Built():
                self._built = received.message
            case Failed(text):
                self._built = None
                self._fail(start_error(text))
        return True

    def _see_built(self) -> None:
        """Be started: the builder has become the program, or is no more."""
        self._look_timer.cancel()
        self._loop.remove_reader(self._setup)
        self._setup.close()
        if self._built is not None:
            _settle(self._started, self._built)
        else:
            self._fail(DynoStartError("the dyno was killed while it started"))
        if self._pidfd < 0:
            self._end_stopped()
            self._see_end()

    def _hear_rest_of_builder(self) -> None:
        while self._setup.fileno() >= 0 and self._hear_builder():
            pass

    def _hear(self) -> bool:
        """Take what the first process says; tell whether it may have said more."""
        try:
            received = messages.receive(self._channel)
        except BlockingIOError:
            return False
        if received is None:
            self._hang_up()
            return False
        if isinstance(received.message, Exited):
            self._hear_rest_of_builder()
            self._is_empty = received.message.is_last
            _settle(self._end, self._told(exit_status(received.message.status)))
        return True

    def _fail(self, error: DynoStartError) -> None:
        if not self._started.done():
            self._started.set_exception(error)
            self._started.exception()  # nobody may be waiting any more

    def _fail_for(self, error: OSError) -> None:
        failure = DynoStartError(f"cannot hear of the dyno: {error.strerror}")
        failure.__cause__ = error
        self._fail(failure)
        self._kill()

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
        self._loop.remove_reader(self._channel)
        self._channel.close()

    def _see_end(self) -> None:
        """Settle all that is awaited; the kernel has ended all other processes by now."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._hear_rest_of_builder()
        while self._channel.fileno() >= 0 and self._hear():
            pass  # what was said before the end
        if self._setup.fileno() >= 0:
            self._see_built()
        if self._channel.fileno() >= 0:
            self._hang_up()
        self._close_memory_event()
        _settle(self._end, self._told(ExitStatus(signal=signal.SIGKILL)))
        _settle(self.gone, None)


class Execution:
    """A command that runs in a dyno beside its program; `closed` is called once, at its end."""

    def __init__(self, channel: socket.socket, closed: Callable[[Execution], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._closed = closed
        self._end: asyncio.Future[ExitStatus] = self._loop.create_future()
        os.set_blocking(channel.fileno(), False)
        self._loop.add_reader(channel, self._hear)

    async def wait(self) -> ExitStatus:
        """Return how the command ended. Raises DynoStartError if it could not be executed."""
        return await asyncio.shield(self._end)

    async def signal(self, number: int) -> None:
        """Send a signal to the command's process; nothing if that has ended."""
        messages.say(self._channel, Signal(number))

    def close(self) -> None:
        """Hear no more of it. The event loop is running, or closed already."""
        if not self._loop.is_closed():
            self._loop.remove_reader(self._channel)
            _settle(self._end, ExitStatus(signal=signal.SIGKILL))
        self._channel.close()
        self._closed(self)

    def _hear(self) -> None:
        received = messages.receive(self._channel)
        if received is None:
            self.close()
            return
        match received.message:
            case Failed(text) if not self._end.done():
                self._end.set_exception(start_error(text))
                self._end.exception()  # nobody may be waiting any more
            case Exited(status):
                _settle(self._end, exit_status(status))


def _settle(future: asyncio.Future[_Result], result: _Result) -> None:
    if not future.done():
        future.set_result(result)
