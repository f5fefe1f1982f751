"""The exec'd commands of a dyno."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from hsup.model import ExitStatus
from hsup_driver_libcontainer.child import plan, protocol
from hsup_driver_libcontainer.child.plan import Program
from hsup_driver_libcontainer.child.protocol import Exited, Failed, Signal
from hsup_driver_libcontainer.futures import fail, settle
from hsup_driver_libcontainer.program import execution_error, exit_status


class Executions:
    """The exec'd commands of one dyno; `execute` starts one, see `exec_command.fork`."""

    def __init__(self, execute: Callable[[Sequence[int]], None]) -> None:
        self._execute = execute
        self._running: set[Execution] = set()

    def begin(self, command: Program, pidfd: int, streams: Sequence[int]) -> Execution:
        """Start a command; `pidfd` is of the first process. Raises DriverError and OSError."""
        with ExitStack() as undo, ExitStack() as lent:
            ours, theirs = protocol.pair()
            undo.enter_context(ours)
            lent.enter_context(theirs)
            file = plan.write(command)
            lent.callback(os.close, file)
            self._execute((theirs.fileno(), pidfd, file, *streams))
            undo.pop_all()
        execution = Execution(ours, self._running.discard)
        self._running.add(execution)
        return execution

    def close(self) -> None:
        """Stop listening to all commands. The event loop is running, or closed already."""
        for execution in list(self._running):
            execution.close()


class Execution:
    """An exec'd command; `closed` is called once, at its end."""

    def __init__(self, channel: socket.socket, closed: Callable[[Execution], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._closed = closed
        self._end: asyncio.Future[ExitStatus] = self._loop.create_future()
        os.set_blocking(channel.fileno(), False)
        self._loop.add_reader(channel, self._hear)

    async def wait(self) -> ExitStatus:
        """Wait for the command's status. Raises DynoStartError if it could not be executed."""
        return await asyncio.shield(self._end)

    async def signal(self, number: int) -> None:
        """Send a signal to the command's process, unless it has ended."""
        protocol.say(self._channel, Signal(number))

    def close(self) -> None:
        """Stop listening to the command. The event loop is running, or closed already."""
        if not self._loop.is_closed():
            self._loop.remove_reader(self._channel)
            settle(self._end, ExitStatus(signal=signal.SIGKILL))
        self._channel.close()
        self._closed(self)

    def _hear(self) -> None:
        received = protocol.receive(self._channel)
        if received is None:
            self.close()
            return
        match received.message:
            case Failed(text):
                fail(self._end, execution_error(text))
            case Exited(status):
                settle(self._end, exit_status(status))
