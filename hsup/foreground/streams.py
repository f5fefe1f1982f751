"""hsup's own streams while it relays those of a dyno, none of which may block it for ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from hsup.foreground.loop import Loop
from hsup.terminal import is_foreground

_READ_BYTES = 1 << 16
#: What a pipe with room takes at once (man 7 pipe, PIPE_BUF).
_PIPE_BYTES = 4096
#: What was read of the input and not yet taken by the dyno, before reading stops.
_MOST_PENDING_BYTES = 1 << 16


class Output:
    """hsup's output streams, and why some of them take no more.

    `waits_for_room` returns False where there will not be any in a stream.
    """

    def __init__(self, waits_for_room: Callable[[int], bool]) -> None:
        self._waits_for_room = waits_for_room
        self.broken: dict[int, OSError] = {}

    def write(self, stream: int, data: bytes | memoryview) -> bool:
        """Write all of it, or drop what the stream takes no more; tell whether it still does."""
        while data and stream not in self.broken:
            if self._waits_for_room(stream):
                data = data[self._write_some(stream, data) :]
            else:
                self.broken[stream] = BrokenPipeError()
        return stream not in self.broken

    def _write_some(self, stream: int, data: bytes | memoryview) -> int:
        try:
            return os.write(stream, data[:_PIPE_BYTES])
        except BlockingIOError:  # somebody has made it non-blocking
            pass
        except OSError as error:  # a full disk, or nobody reads
            self.broken[stream] = error
        return 0


class Sink(Protocol):
    """Where a dyno reads its input from, as the driver has it."""

    def fileno(self) -> int:
        """Return the descriptor that has room when more can be written."""

    def write(self, data: bytes, /) -> int:
        """Write what there is room for, and return how much that was.

        Raises BlockingIOError where there is none, and OSError where the dyno reads no more.
        """

    def end(self) -> None:
        """Tell the dyno that nothing more comes."""


class Feed:
    """Passes hsup's standard input on to a dyno, as far as the dyno takes it."""

    def __init__(self, loop: Loop, sink: Sink) -> None:
        self._loop = loop
        self._sink = sink
        self._pending = b""
        self._has_all = False
        if not os.isatty(0) or is_foreground():
            loop.add_reader(0, self._read)

    def stop(self) -> None:
        """Leave the rest of the input to others."""
        self._loop.remove_reader(0)
        self._loop.remove_writer(self._sink.fileno())

    def _read(self) -> None:
        try:
            data = os.read(0, _READ_BYTES)
        except BlockingIOError:  # somebody else was quicker
            return
        except OSError:  # the terminal was closed, or it is a folder
            data = b""
        self._pending += data
        self._has_all = not data
        self._pass_on()

    def _pass_on(self) -> None:
        try:
            self._write()
        except OSError:  # the dyno reads no more
            self._pending, self._has_all = b"", True
        if self._has_all and not self._pending:
            self.stop()
            self._sink.end()
        else:
            self._wait()

    def _write(self) -> None:
        if self._pending:
            try:
                self._pending = self._pending[self._sink.write(self._pending) :]
            except BlockingIOError:
                pass

    def _wait(self) -> None:
        """Be called when there is something to read, or room to write it."""
        if self._pending:
            self._loop.add_writer(self._sink.fileno(), self._pass_on)
        else:
            self._loop.remove_writer(self._sink.fileno())
        if self._has_all or len(self._pending) >= _MOST_PENDING_BYTES:
            self._loop.remove_reader(0)
        else:
            self._loop.add_reader(0, self._read)
