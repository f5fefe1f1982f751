"""Run one dyno on hsup's own streams and terminal, to its end."""

from __future__ import annotations

import fcntl
import math
import os
import signal
import stat
import struct
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from hsup.errors import DriverError
from hsup.model import ExitStatus
from hsup.terminal import (
    ENDING,
    HURRYING,
    Listeners,
    Repeats,
    hears_hang_ups,
    is_foreground,
    raw_mode,
    window_size,
    write_all,
)
from hsup_driver_libcontainer.child import messages
from hsup_driver_libcontainer.child.kernel import is_ready
from hsup_driver_libcontainer.child.messages import (
    Channels,
    Exited,
    Failed,
    Master,
    Signal,
    Watch,
)
from hsup_driver_libcontainer.child.plan import Terminal
from hsup_driver_libcontainer.program import exit_status, start_error

_READ_BYTES = 1 << 16
#: What was typed and not yet read by the dyno, before reading stops.
_MOST_PENDING_BYTES = 1 << 16

#: The device and inode of the pipe that stands for the input: of no file.
_OF_THE_INPUT = (-1, -1)


def terminal_of(streams: list[int]) -> Terminal | None:
    """Return which of the streams are a terminal, and its size; None if none is."""
    terminals = tuple(one for one in streams if os.isatty(one))
    return Terminal(terminals, *window_size(terminals[0])) if terminals else None


class Streams:
    """The streams of a dyno: hsup's own if they are terminals, devices or pipes, else pipes.

    A dyno could truncate a file of the host's, or open it again for writing (/dev/stdin),
    and leave its root by a folder; and neither a file nor a socket could it open as
    /dev/stdout. `given` are the dyno's streams, `pipes` has for each pipe where to what is
    written goes, and `input` is the pipe for what hsup reads, None if the dyno does so itself.
    """

    def __init__(self, streams: list[int]) -> None:
        self.given = list(streams)
        self.pipes: dict[int, int] = {}
        self.input: int | None = None
        self._ends: dict[tuple[int, int], int] = {}
        status = os.fstat(0)
        if not _may_be_given(status):
            self.given[0], self.input = os.pipe()
            self._ends[_OF_THE_INPUT] = self.given[0]
            os.set_blocking(self.input, False)
        for stream in (1, 2):
            status = os.fstat(stream)
            if not _may_be_given(status):
                self.given[stream] = self._pipe(stream, (status.st_dev, status.st_ino))

    def leave(self) -> None:
        """Close the dyno's ends, once it has them, so that they end with the dyno."""
        for end in self._ends.values():
            os.close(end)

    def _pipe(self, stream: int, file: tuple[int, int]) -> int:
        """Return the dyno's end of a pipe; both streams to one file have one, and keep order."""
        if file not in self._ends:
            reading, self._ends[file] = os.pipe()
            self.pipes[reading] = stream
        return self._ends[file]


def _may_be_given(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)


class Session:
    """A dyno whose streams are hsup's own: what it shows, what is typed, signals, its end.

    `end_soon` is called once the last process that it was given is no more.
    """

    def __init__(
        self,
        channels: Channels,
        terminal: Terminal | None,
        streams: Streams,
        memory_event: int | None,
        end_soon: Callable[[], None],
    ) -> None:
        self._channel, self._setup, _ = channels
        self._end_soon = end_soon
        self._terminal = terminal
        self._listeners = Listeners()
        self._master = -1
        self._typed = b""
        self._pidfd = -1
        self._status: ExitStatus | None = None
        self._is_over = False
        self._deadline = math.inf
        self._repeats = Repeats()
        self._ran_out_of_memory = False
        self._memory_event = memory_event
        self._pipes = dict(streams.pipes)
        self._input = streams.input
        self._unread = b""
        self._failure: OSError | None = None
        for pipe in self._pipes:
            self._listeners.listen(pipe, partial(self._relay_pipe, pipe))
        if self._input is not None:
            self._listeners.listen(self._input, self._feed)
            self._listeners.wait_for(self._input, reading=False, writing=True)
        self._listeners.listen(self._setup.fileno(), self._hear_builder)
        self._listeners.listen(self._channel.fileno(), self._hear)
        if memory_event is not None:
            self._listeners.listen(memory_event, self._run_out_of_memory)

    def run(self, grace_seconds: float, woken: int) -> ExitStatus:
        """Relay until the dyno has ended and nothing of it is left.

        `woken` is what `signals_woken` gives.

        Raises DynoStartError, and DriverError if what it wrote could not be written.
        """
        self._grace_seconds = grace_seconds
        self._woken = woken
        with _raw_mode(self._terminal):
            self._listeners.listen(woken, self._take_signals)
            while not self._is_over:
                self._turn()
            self._show_rest()
        if self._failure is not None:
            text = f"cannot write what the dyno wrote: {self._failure.strerror}"
            raise DriverError(text, hint="see where standard output goes") from self._failure
        status = self._status or ExitStatus(signal=signal.SIGKILL)
        return status._replace(out_of_memory=self._ran_out_of_memory)

    def _turn(self) -> None:
        left = self._deadline - time.monotonic()
        self._listeners.turn(None if left == math.inf else max(0.0, left) * 1000)
        if time.monotonic() >= self._deadline:
            self._kill()

    def _hear_builder(self) -> None:
        received = messages.receive(self._setup)
        if received is None:
            self._listeners.ignore(self._setup.fileno())
            if self._pidfd < 0:
                self._is_over = True
            return
        match received.message:
            case Watch():
                (self._pidfd,) = received.descriptors
                self._listeners.listen(self._pidfd, self._see_end)
            case Master():
                (self._master,) = received.descriptors
                self._attach()
            case Failed(text):
                raise start_error(text)

    def _hear(self) -> None:
        received = messages.receive(self._channel)
        if received is None:
            self._listeners.ignore(self._channel.fileno())
            return
        while self._setup.fileno() in self._listeners:
            self._hear_builder()  # what was said before the end
        if isinstance(received.message, Exited):
            self._status = exit_status(received.message.status)
            if received.message.is_last:
                self._end_soon()
            elif self._deadline == math.inf:
                self._kill()

    def _see_end(self) -> None:
        """Be done: the first process has ended, and so has every other."""
        while self._setup.fileno() in self._listeners:
            self._hear_builder()
        while self._channel.fileno() in self._listeners:
            self._hear()
        self._listeners.ignore(self._pidfd)
        os.close(self._pidfd)
        self._is_over = True

    def _attach(self) -> None:
        assert self._terminal is not None
        os.set_blocking(self._master, False)
        self._listeners.listen(self._master, self._relay_terminal)
        if 0 in self._terminal.streams and is_foreground():
            self._listeners.listen(0, self._read_typed)

    def _relay_terminal(self) -> None:
        """Show what the dyno wrote, and pass on what was typed."""
        try:
            written = os.read(self._master, _READ_BYTES)
        except BlockingIOError:
            written = b""
        except OSError:  # EIO: no process of the dyno has the terminal open
            self._listeners.ignore(self._master)
            self._listeners.ignore(0)
            return
        self._show(written)
        self._pass_on()

    def _show(self, data: bytes) -> None:
        assert self._terminal is not None
        try:
            write_all(next((one for one in (1, 2) if one in self._terminal.streams), 0), data)
        except OSError:  # it was closed, and SIGHUP may tell so later, or never
            if self._deadline == math.inf and hears_hang_ups():
                self._signal(signal.SIGHUP)

    def _relay_pipe(self, pipe: int) -> None:
        data = os.read(pipe, _READ_BYTES)
        try:
            write_all(self._pipes[pipe], data)
        except OSError as error:  # such as a full disk
            self._failure = error
            data = b""
        if not data:  # who still writes gets SIGPIPE
            self._listeners.ignore(pipe)
            os.close(pipe)
            del self._pipes[pipe]

    def _show_rest(self) -> None:
        """Show what the dyno wrote before its end."""
        while self._master in self._listeners:
            self._typed = b""
            self._relay_terminal()
        for pipe in list(self._pipes):
            while pipe in self._pipes:
                self._relay_pipe(pipe)

    def _feed(self) -> None:
        """Write what hsup's input has into the pipe, as far as the dyno reads it."""
        assert self._input is not None
        if not self._unread and not is_ready(0, 0):  # a socket that has nothing yet
            self._listeners.ignore(self._input)
            self._listeners.listen(0, self._feed_again)
            return
        try:
            self._unread = self._unread or os.read(0, _READ_BYTES)
            if self._unread:
                self._unread = self._unread[os.write(self._input, self._unread) :]
                return
        except BlockingIOError:
            return
        except OSError:  # the dyno reads no more, or it is a folder
            pass
        self._listeners.ignore(self._input)
        os.close(self._input)
        self._input = None

    def _feed_again(self) -> None:
        assert self._input is not None
        self._listeners.ignore(0)
        self._listeners.listen(self._input, self._feed)
        self._listeners.wait_for(self._input, reading=False, writing=True)

    def _read_typed(self) -> None:
        try:
            typed = os.read(0, _READ_BYTES)
        except OSError:
            typed = b""
        if not typed:  # the terminal was closed
            self._listeners.ignore(0)
            return
        self._typed += typed
        self._pass_on()

    def _pass_on(self) -> None:
        """Write what was typed as far as the dyno reads it."""
        if self._typed:
            try:
                self._typed = self._typed[os.write(self._master, self._typed) :]
            except BlockingIOError:
                pass
        if self._master in self._listeners:
            self._listeners.wait_for(self._master, writing=bool(self._typed))
        if 0 in self._listeners:
            self._listeners.wait_for(0, reading=len(self._typed) < _MOST_PENDING_BYTES)

    def _take_signals(self) -> None:
        for number in os.read(self._woken, 4096):
            if number == signal.SIGWINCH:
                self._resize()
            elif not self._repeats.is_one(number):
                self._signal(number)

    def _signal(self, number: int) -> None:
        """Pass on a signal; from the first one that ends on there is the grace."""
        if number == signal.SIGHUP and self._deadline != math.inf:
            return  # it comes twice
        messages.say(self._channel, Signal(number))
        if number in ENDING and self._deadline == math.inf:
            self._deadline = time.monotonic() + self._grace_seconds
        elif number in HURRYING:
            self._deadline = time.monotonic()

    def _run_out_of_memory(self) -> None:
        """End all processes: the kernel has chosen one of them only."""
        assert self._memory_event is not None
        self._listeners.ignore(self._memory_event)
        self._ran_out_of_memory = True
        messages.say(self._channel, Signal(signal.SIGKILL))

    def _resize(self) -> None:
        if self._master >= 0 and self._terminal is not None:
            try:
                size = struct.pack("4H", *window_size(self._terminal.streams[0]), 0, 0)
            except OSError:
                return  # it was closed
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def _kill(self) -> None:
        self._deadline = math.inf
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except OSError:
            pass  # it has just ended


@contextmanager
def _raw_mode(terminal: Terminal | None) -> Iterator[None]:
    """Let keys go to the dyno where they are typed on a terminal that it has."""
    with raw_mode() if terminal is not None and 0 in terminal.streams else nullcontext():
        yield
