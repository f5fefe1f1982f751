"""The streams of a dyno in the foreground: hsup's own, or pipes and a terminal in between."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from hsup.model import DynoInput
from hsup.terminal import WindowSize, window_size
from hsup_driver_libcontainer.child.plan import Terminal

if TYPE_CHECKING:
    from hsup.foreground import Feed, Session

# The session is imported while the dyno is being built.

_READ_BYTES = 1 << 16

#: Stands for the device and inode of the pipe for the input: no file has these.
_OF_THE_INPUT = (-1, -1)


def terminal_of(streams: list[int]) -> Terminal | None:
    """Return which of the streams are a terminal, and its size; None if none is."""
    terminals = tuple(stream for stream in streams if os.isatty(stream))
    return Terminal(terminals, *window_size(terminals[0])) if terminals else None


@contextmanager
def input_of(kind: DynoInput, null: int, uid: int) -> Iterator[int]:
    """Yield the descriptor of the input of a dyno that is started, inside the block.

    An open input is a pipe that the dyno alone holds, for both directions: it does not end as long
    as the dyno runs. Raises OSError.
    """
    if kind != "open":
        yield null
        return
    reading, writing = os.pipe()
    try:
        both = os.open(f"/proc/self/fd/{reading}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(reading)
        os.close(writing)
    try:
        os.fchown(both, uid, uid)  # /dev/stdin can be opened
        yield both
    finally:
        os.close(both)


class Streams:
    """The streams of a dyno: hsup's own if they are terminals, devices or pipes, else pipes.

    A dyno could truncate a file of the host or open it again for writing (/dev/stdin), it
    could leave its root by a directory, and it can open neither a file nor a socket as
    /dev/stdout. `given` are the dyno's streams, `pipes` maps each pipe to the stream of hsup
    that its content goes to, and `input` is the pipe for what hsup reads, None if the dyno
    reads it itself.
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
        """Close hsup's copies of the dyno's ends, once the dyno has them."""
        for end in self._ends.values():
            os.close(end)

    def _pipe(self, stream: int, file: tuple[int, int]) -> int:
        """Return the dyno's end of a pipe; streams to the same file share it, to keep the order."""
        if file not in self._ends:
            reading, self._ends[file] = os.pipe()
            self.pipes[reading] = stream
        return self._ends[file]


def _may_be_given(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)


class Relay:
    """Copies between hsup's streams and the pipes and terminal of a dyno."""

    def __init__(self, session: Session, streams: Streams) -> None:
        self._session = session
        self._open: set[int] = set()  # the dyno still has their other ends
        self._master = -1
        self._feed: Feed | None = None
        for pipe, stream in streams.pipes.items():
            self._add(pipe, partial(self._read_pipe, pipe, stream))
        if streams.input is not None:
            session.feed(_Pipe(streams.input))

    @property
    def is_open(self) -> bool:
        """Tell whether the dyno may have written something that was not shown yet."""
        return bool(self._open)

    def attach(self, master: int, *, is_typed_on: bool) -> None:
        """Take the master of the dyno's terminal; with `is_typed_on` it is fed hsup's input."""
        os.set_blocking(master, False)
        self._master = master
        self._add(master, self._read_master)
        if is_typed_on:
            self._feed = self._session.feed(_Keys(master))

    def resize(self, size: WindowSize) -> None:
        """Tell the dyno's terminal how large the window is, if the dyno has one by now."""
        if self._master >= 0:
            window = struct.pack("4H", *size, 0, 0)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, window)

    def _add(self, descriptor: int, read: Callable[[], None]) -> None:
        self._open.add(descriptor)
        self._session.loop.add_reader(descriptor, read)

    def _remove(self, descriptor: int) -> None:
        self._session.loop.remove_reader(descriptor)
        self._open.remove(descriptor)

    def _read_master(self) -> None:
        try:
            data = os.read(self._master, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: no process of the dyno has the terminal open
            self._remove(self._master)
            if self._feed is not None:
                self._feed.stop()
        else:
            self._session.show(data)

    def _read_pipe(self, pipe: int, stream: int) -> None:
        data = os.read(pipe, _READ_BYTES)
        if not data or not self._session.write(stream, data):  # writers get SIGPIPE from now on
            self._remove(pipe)
            os.close(pipe)


class _Pipe:
    """The input of a dyno that does not read hsup's own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def end(self) -> None:
        os.close(self._descriptor)


class _Keys(_Pipe):
    """The input of a dyno that has a terminal."""

    def end(self) -> None:
        """Keep the terminal open: the dyno may still write to it."""
