"""An exec'd command in the container of a dyno."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from signal import SIGKILL

from hsup.errors import DriverError, DynoStartError, TooManyProcesses
from hsup.model import Command, ExitStatus
from hsup.terminal import write_all
from hsup.threads import in_thread, in_thread_or_undone, start
from hsup_driver_docker.containers import inside
from hsup_driver_docker.containers.handle import Handle, has_signalled, start_error
from hsup_driver_docker.descriptors import duplicate
from hsup_driver_docker.engine.client import NOT_EXECUTABLE
from hsup_driver_docker.engine.connection import (
    EngineError,
    EngineUnreachable,
    Stream,
    end_writing,
    read_some,
)
from hsup_driver_docker.engine.frames import STDOUT, Demultiplexer

_EXECUTE = "execute the command in the dyno"
_READ_BYTES = 1 << 16
#: How long an engine takes to execute a command on a busy machine, at most.
_BEGIN_SECONDS = 30.0
_FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.01, 1.0


class Execution:
    """An exec'd command, whose streams a thread copies until it ends."""

    def __init__(self, handle: Handle, started: str, mark: str, copying: Copying) -> None:
        self._handle = handle
        self._started = started
        self._mark = mark
        self._copying = copying

    async def wait(self) -> ExitStatus:
        """Return how the command ended."""
        return await in_thread(self._wait)

    async def signal(self, number: int) -> None:
        """Send a signal to the process of the command, unless it has ended."""
        signal = partial(_signal, self._handle, self._mark, number)
        await in_thread(partial(signal, is_running=self._copying.is_alive))

    def _wait(self) -> ExitStatus:
        self._copying.join()
        seconds = _FIRST_LOOK_SECONDS
        try:
            while (code := self._handle.engine.executed(self._started)) is None:
                time.sleep(seconds)  # it runs on with its outputs closed
                seconds = min(2 * seconds, _LONGEST_LOOK_SECONDS)
            if code == NOT_EXECUTABLE and not self._is_dyno_running():
                return ExitStatus(signal=SIGKILL)  # the dyno ended before it was executed
        except DriverError:
            return ExitStatus(signal=SIGKILL)  # the dyno was removed
        return ExitStatus(code=code)

    def _is_dyno_running(self) -> bool:
        state = self._handle.state()
        return state is not None and state.is_running


async def execute(handle: Handle, command: Command, streams: Sequence[int]) -> Execution:
    """Exec a command, with `streams` as its input and outputs. Raises DynoStartError."""
    mark = inside.new_mark()
    spec = handle.spec._replace(command=command)
    body = inside.execution(spec, handle.image, mark)
    copying = Copying(duplicate(streams))  # first, as it may fail
    try:
        started, stream = await in_thread_or_undone(
            partial(handle.engine.execute, handle.id, body), partial(_end, handle, mark)
        )
        copying.stream.set_result(stream)
    except EngineError as error:
        raise start_error(error, _EXECUTE) from error
    except EngineUnreachable as error:
        raise DynoStartError(f"cannot {_EXECUTE}: {error}") from error
    finally:
        copying.stream.cancel()  # has no effect once it has a result
    return Execution(handle, started, mark, copying)


def _end(handle: Handle, mark: str, begun: tuple[str, Stream]) -> None:
    """End a command whose caller was cancelled."""
    started, stream = begun
    with stream.socket:
        _signal(handle, mark, SIGKILL, is_running=lambda: handle.engine.executed(started) is None)


def _signal(handle: Handle, mark: str, number: int, *, is_running: Callable[[], bool]) -> None:
    """Send a signal until it arrives, as the engine may not have executed the command yet."""
    body = inside.signal_marked(number, mark)
    deadline = time.monotonic() + _BEGIN_SECONDS
    while not _send(handle, body) and is_running() and time.monotonic() < deadline:
        time.sleep(_FIRST_LOOK_SECONDS)


def _send(handle: Handle, body: dict[str, object]) -> bool:
    """Run a script that signals; tell whether it did so, or the dyno has ended."""
    try:
        _, stream = handle.engine.execute(handle.id, body)
    except DriverError:
        return True  # the dyno has ended, and the command with it
    with stream.socket:
        return has_signalled(stream)


class Copying(threading.Thread):
    """A thread that copies an input to a stream of the engine, and the outputs from it.

    It begins when the future `stream` has a result, and ends if that is cancelled. It closes
    `streams`. Raises TooManyProcesses.
    """

    def __init__(self, streams: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self.stream: Future[Stream] = Future()
        self._input, *self._outputs = streams
        self._frames = Demultiplexer()
        self._typed = b""
        self._is_input_over = False
        try:
            start(self)
        except TooManyProcesses:
            self._close()
            raise

    def run(self) -> None:
        """Copy until the engine closes the stream."""
        try:
            stream = self.stream.result()
            self._socket = stream.socket
            self._socket.settimeout(0)
            with self._socket:
                self._show(stream.first)
                while self._copy():
                    pass
        except (OSError, CancelledError):
            pass  # the connection broke, or the command was not executed
        finally:
            self._close()

    def _close(self) -> None:
        for descriptor in (self._input, *self._outputs):
            os.close(descriptor)

    def _copy(self) -> bool:
        """Wait for data, and copy it; tell whether there may be more."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._typed else 0))
        if not self._typed and not self._is_input_over:
            poll.register(self._input, select.POLLIN)
        events = dict(poll.poll())
        if self._input in events:
            self._read_input()
        if events.get(self._socket.fileno(), 0) & select.POLLOUT:
            self._typed = self._typed[self._socket.send(self._typed) :]
        data = read_some(self._socket)
        self._show(data or b"")
        return data != b""

    def _read_input(self) -> None:
        self._typed = os.read(self._input, _READ_BYTES)
        if not self._typed:
            self._is_input_over = True
            end_writing(self._socket)

    def _show(self, data: bytes) -> None:
        for stream, piece in self._frames.feed(data):
            try:
                write_all(self._outputs[stream - STDOUT], piece)
            except BrokenPipeError:
                pass  # its reader is gone, and the command may continue
