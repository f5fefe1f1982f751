"""Write to a descriptor of somebody else without ever blocking the event loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections import deque
from collections.abc import Callable
from typing import Protocol

#: How much may wait for a slow reader before dynos are no longer read.
FULL_BYTES = 1 << 20


class DescriptorWriter:
    """Keeps what a slow reader has not taken yet, in order.

    O_NONBLOCK belongs to the open file, which hsup shares with its parent
    shell, so it is never set there: a pipe or a terminal is opened anew, a
    socket is sent to with MSG_DONTWAIT, and a regular file never blocks.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[OSError], None]) -> None:
        self._outlet = _open_outlet(descriptor)
        self._on_broken = on_broken
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._is_broken = False
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_full(self) -> bool:
        """Tell whether more waits than should."""
        return self._waiting_bytes > FULL_BYTES

    def write(self, data: bytes) -> None:
        """Write now what can be written now, and the rest as soon as possible."""
        if self._is_broken or not data:
            return
        rest = memoryview(data)
        if not self._waiting:
            rest = rest[self._try(rest) :]
        if rest and not self._is_broken:
            self._keep(rest)

    async def drained(self) -> None:
        """Return when no more than half of what is allowed waits."""
        await self._room.wait()

    async def close(self) -> None:
        """Return when all is written, or the reader is gone."""
        while self._waiting and not self._is_broken:
            self._room.clear()
            await self._room.wait()
        self._outlet.close()

    def _keep(self, rest: memoryview) -> None:
        if not self._waiting:
            asyncio.get_running_loop().add_writer(self._outlet.fileno(), self._flush)
        self._waiting.append(rest)
        self._waiting_bytes += len(rest)
        if self.is_full:
            self._room.clear()

    def _flush(self) -> None:
        while self._waiting and not self._is_broken:
            head = self._waiting[0]
            written = self._try(head)
            self._waiting_bytes -= written
            if written < len(head):
                self._waiting[0] = head[written:]
                break
            self._waiting.popleft()
        if not self._waiting or self._is_broken:
            asyncio.get_running_loop().remove_writer(self._outlet.fileno())
            self._waiting.clear()
            self._waiting_bytes = 0
        if self._waiting_bytes <= FULL_BYTES // 2:
            self._room.set()

    def _try(self, data: memoryview) -> int:
        try:
            return self._outlet.write(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._on_broken(error)
            self._is_broken = error.errno != errno.ENOSPC
            return len(data)


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
        except OSError:  # somebody else's terminal, after su; or no /proc
            return _FileOutlet(descriptor)
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


class _FileOutlet:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: memoryview) -> int:
        written = 0
        while written < len(data):
            try:
                written += os.write(self._descriptor, data[written:])
            except BlockingIOError:  # a terminal that is not ours, and that somebody unblocked
                break
        return written

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        pass
