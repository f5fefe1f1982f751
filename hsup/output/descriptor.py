"""Write to a descriptor shared with others without ever blocking the event loop."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import select
import socket
import stat
from collections import deque
from collections.abc import Callable
from typing import Protocol

_NEWLINE = ord("\n")
#: How much is kept for a slow reader before hsup stops reading from dynos.
FULL_BYTES = 1 << 20
#: Small writes are joined into larger pieces: each piece has a cost of its own.
_PIECE_BYTES = 1 << 16

#: What a pipe that polls writable takes without blocking: PIPE_BUF, a page (man 7 pipe).
_PIPE_PIECE = re.compile(rb".{1,4096}", re.DOTALL)
#: What a pseudo-terminal takes: its buffer grows in steps of 256 bytes (Linux,
#: drivers/tty/tty_buffer.c), and the room is checked again before each character that
#: may become several, as "\n" becomes "\r\n" (drivers/tty/n_tty.c).
_TERMINAL_PIECE = re.compile(rb"[^\n\r\t\b]{1,128}|[\n\r\t\b]")


class DescriptorWriter:
    """Writes in order, and keeps what a slow reader has not taken yet.

    O_NONBLOCK belongs to the open file description, which hsup shares with its
    parent shell, so hsup never sets it. Instead it reopens a pipe or a terminal,
    or polls before each small write if that belongs to another user; a socket is
    written with MSG_DONTWAIT, and a regular file never blocks.
    """

    def __init__(
        self,
        descriptor: int,
        on_broken: Callable[[OSError], None],
        *,
        full_bytes: int = FULL_BYTES,
    ) -> None:
        self._outlet = _open_outlet(descriptor)
        self._full_bytes = full_bytes
        self._on_broken = on_broken
        self._is_losing = self._is_torn = False
        self._waiting: deque[bytearray] = deque()
        self._waiting_bytes = 0
        self._head_taken = 0
        self._taken_bytes = 0
        self._is_over = self._is_closed = False
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_full(self) -> bool:
        """Tell whether more than `full_bytes` are waiting for the reader."""
        return self._waiting_bytes > self._full_bytes

    @property
    def is_over(self) -> bool:
        """Tell whether writing has ended: the reader is gone, or this was closed."""
        return self._is_over

    @property
    def taken_bytes(self) -> int:
        """Return how much the reader has taken so far."""
        return self._taken_bytes

    def write(self, data: bytes) -> int:
        """Write what can be written now, and the rest as soon as possible.

        Return how many bytes are lost because a file has no room for them. The next write is
        tried all the same, and begins a new line if one was cut.
        """
        if self._is_over or not data:
            return 0
        if isinstance(self._outlet, _FileOutlet):
            return self._write_to_file(self._outlet, data)
        rest = memoryview(data)
        if not self._waiting:
            rest = rest[self._try(rest) :]
        if rest and not self._is_over:
            self._keep(rest)
        return 0

    async def drained(self) -> None:
        """Return when at most half of `full_bytes` is waiting for the reader."""
        await self._room.wait()

    async def close(self) -> None:
        """Return when all is written, or the reader is gone; may be called again.

        If this is cancelled, the rest is dropped, and so are later writes.
        """
        try:
            while self._waiting:
                self._room.clear()
                await self._room.wait()
        finally:
            self._is_over = True
            if not self._is_closed:
                self._is_closed = True
                self._drop()
                self._outlet.close()

    def _keep(self, rest: memoryview) -> None:
        if not self._waiting:
            asyncio.get_running_loop().add_writer(self._outlet.fileno(), self._flush)
        if not self._waiting or len(self._waiting[-1]) > _PIECE_BYTES:
            self._waiting.append(bytearray())
        self._waiting[-1] += rest
        self._waiting_bytes += len(rest)
        if self.is_full:
            self._room.clear()

    def _flush(self) -> None:
        while self._waiting and not self._is_over:
            with memoryview(self._waiting[0]) as head, head[self._head_taken :] as rest:
                written, left = self._try(rest), len(rest)
            self._waiting_bytes -= written
            self._head_taken += written
            if written < left:
                break
            self._waiting.popleft()
            self._head_taken = 0
        if not self._waiting or self._is_over:
            self._drop()
        if self._waiting_bytes <= self._full_bytes // 2:
            self._room.set()

    def _drop(self) -> None:
        asyncio.get_running_loop().remove_writer(self._outlet.fileno())
        self._waiting.clear()
        self._waiting_bytes = self._head_taken = 0
        self._room.set()

    def _try(self, data: memoryview) -> int:
        try:
            written = self._outlet.write(data)
        except BlockingIOError:
            return 0
        except OSError as error:  # the reader is gone
            self._is_over = True
            self._on_broken(error)
            return len(data)
        self._taken_bytes += written
        return written

    def _write_to_file(self, file: _FileOutlet, data: bytes) -> int:
        begun = b"\n" + data if self._is_torn else data
        written, error = file.write_all(begun)
        self._taken_bytes += written
        if written:
            self._is_torn = error is not None and begun[written - 1] != _NEWLINE
        was_losing, self._is_losing = self._is_losing, error is not None
        if error is not None and not was_losing:
            self._on_broken(error)
        return min(len(begun) - written, len(data))


class _Outlet(Protocol):
    def write(self, data: memoryview) -> int: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


def _open_outlet(descriptor: int) -> _Outlet:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        return _SocketOutlet(descriptor)
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        try:
            return _ReopenedOutlet(descriptor)
        except OSError:  # it is another user's, after su or in a container; or no /proc
            piece = _PIPE_PIECE if stat.S_ISFIFO(mode) else _TERMINAL_PIECE
            return _PolledOutlet(descriptor, piece)
    return _FileOutlet(descriptor)


class _ReopenedOutlet:
    def __init__(self, descriptor: int) -> None:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        self._own = os.open(f"/proc/self/fd/{descriptor}", flags)

    def write(self, data: memoryview) -> int:
        return os.write(self._own, data)

    def fileno(self) -> int:
        return self._own

    def close(self) -> None:
        os.close(self._own)


class _SocketOutlet:
    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))

    def write(self, data: memoryview) -> int:
        return self._socket.send(data, socket.MSG_DONTWAIT)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


class _PolledOutlet:
    """Writes so little at a time that even a blocking descriptor does not block.

    It can still block if another process writes to the same pipe at that moment.
    """

    def __init__(self, descriptor: int, piece: re.Pattern[bytes]) -> None:
        self._descriptor = descriptor
        self._piece = piece
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, data: memoryview) -> int:
        written = 0
        while (piece := self._piece.match(data, written)) and self._poll.poll(0):
            try:
                written += os.write(self._descriptor, piece[0])
            except BlockingIOError:  # another process set O_NONBLOCK
                break
        return written

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        pass


class _FileOutlet:
    """A file or a device: a write never blocks, but fails while there is no room."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: memoryview) -> int:
        return os.write(self._descriptor, data)

    def write_all(self, data: bytes) -> tuple[int, OSError | None]:
        """Return how many bytes were written, and the error if not all: a full disk, a quota."""
        written = 0
        while written < len(data):
            try:
                written += self.write(memoryview(data)[written:])
            except OSError as error:
                if error.errno != errno.EFBIG or not self._return_to_end():
                    return written, error
        return written, None

    def _return_to_end(self) -> bool:
        """Seek to the end of a file that was truncated; return whether it was."""
        here = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        if end > here:  # the caller has hsup overwrite existing content
            os.lseek(self._descriptor, here, os.SEEK_SET)
        return end < here

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        pass
