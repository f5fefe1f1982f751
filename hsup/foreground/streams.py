"""hsup's own streams while it relays those of a dyno; none of them blocks hsup forever."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from hsup.terminal import is_foreground

_READ_BYTES = 1 << 16
#: What a pipe that has room accepts in one write (man 7 pipe, PIPE_BUF).
_PIPE_BYTES = 4096
#: Reading stops while the dyno has not taken so much of the input.
_MOST_PENDING_BYTES = 1 << 16


class Output:
    """hsup's output streams; `broken` has the errors of those that accept no more output.

    `waits_for_room` returns False if a stream will never have room.
    """

    def __init__(self, waits_for_room: Callable[[int], bool]) -> None:
        self._waits_for_room = waits_for_room
        self.broken: dict[int, OSError] = {}

    def write(self, stream: int, data: bytes | memoryview) -> bool:
        """Write all data, or drop the rest if the stream breaks; tell whether it is intact."""
        while data and stream not in self.broken:
            if self._waits_for_room(stream):
                data = data[self._write_some(stream, data) :]
            else:
                self.broken[stream] = BrokenPipeError()
        return stream not in self.broken

    def _write_some(self, stream: int, data: bytes | memoryview) -> int:
        try:
            return os.write(stream, data[:_PIPE_BYTES])
        except BlockingIOError:  # another process made it non-blocking
            pass
        except OSError as error:  # a full disk, or no reader
            self.broken[stream] = error
        return 0


class Listens(Protocol):
    """The part of a loop that calls actions for descriptors; event loops of asyncio have it."""

    def add_reader(self, descriptor: int, action: Callable[[], object], /) -> object:
        """Call an action whenever a descriptor is readable, or its other end is closed."""

    def remove_reader(self, descriptor: int, /) -> object:
        """Remove the reader of a descriptor, if there is one."""

    def add_writer(self, descriptor: int, action: Callable[[], object], /) -> object:
        """Call an action whenever a descriptor is writable, or its other end is closed."""

    def remove_writer(self, descriptor: int, /) -> object:
        """Remove the writer of a descriptor, if there is one."""


class DynoInput(Protocol):
    """The input of a dyno, implemented by its driver."""

    def fileno(self) -> int:
        """Return the descriptor that is writable when there is room."""

    def write(self, data: bytes, /) -> int:
        """Write as much as there is room for, and return how many bytes that was.

        Raises BlockingIOError if there is no room, and OSError if the dyno has closed its input.
        """

    def end(self) -> None:
        """Close the input: the dyno reads the end of it."""


class Feed:
    """Passes hsup's standard input to a dyno, no faster than the dyno reads it."""

    def __init__(self, loop: Listens, dyno_input: DynoInput) -> None:
        self._loop = loop
        self._dyno_input = dyno_input
        self._pending = b""
        self._has_all = False
        if not os.isatty(0) or is_foreground():
            loop.add_reader(0, self._read)

    def stop(self) -> None:
        """Stop reading; the rest of the input is left to other processes."""
        self._loop.remove_reader(0)
        self._loop.remove_writer(self._dyno_input.fileno())

    def _read(self) -> None:
        try:
            data = os.read(0, _READ_BYTES)
        except BlockingIOError:  # another process read it first
            return
        except OSError:  # the terminal was closed, or standard input is a directory
            data = b""
        self._pending += data
        self._has_all = not data
        self._pass_on()

    def _pass_on(self) -> None:
        try:
            self._write()
        except OSError:  # the dyno has closed its input
            self._pending, self._has_all = b"", True
        if self._has_all and not self._pending:
            self.stop()
            self._dyno_input.end()
        else:
            self._wait()

    def _write(self) -> None:
        if self._pending:
            try:
                self._pending = self._pending[self._dyno_input.write(self._pending) :]
            except BlockingIOError:
                pass

    def _wait(self) -> None:
        """Register for the next input, and for room to write what is pending."""
        if self._pending:
            self._loop.add_writer(self._dyno_input.fileno(), self._pass_on)
        else:
            self._loop.remove_writer(self._dyno_input.fileno())
        if self._has_all or len(self._pending) >= _MOST_PENDING_BYTES:
            self._loop.remove_reader(0)
        else:
            self._loop.add_reader(0, self._read)
