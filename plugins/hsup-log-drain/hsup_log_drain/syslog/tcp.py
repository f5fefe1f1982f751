"""Deliver lines over one connection, which stays open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hsup.errors import DrainError
from hsup.log_drain import DrainLimits, LogBlock
from hsup_log_drain.frames import Head, encode
from hsup_log_drain.syslog.connection import Connection, ConnectionBroken
from hsup_log_drain.syslog.taken import whole_lines

#: A block waits until the receiver has acknowledged the one before. So it is large, which it is
#: only if many lines wait: with an answer after 100 ms, 20,000 lines or 5 MB pass in a second. To
#: encode so many lines takes 5 ms, if each is a batch.
_LIMITS = DrainLimits(lines=2048, bytes=1 << 19, tries=None)


class SyslogDrain:
    """Sends frames whose octets are counted (RFC 6587, 3.4.1) over TCP or TLS.

    A block is delivered when the kernel of the receiver has acknowledged it. What the receiver's
    program has not read of that when it ends is lost, and nothing tells of it.
    """

    def __init__(self, head: Head, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._head = head
        self._connect = connect
        self._connection: Connection | None = None

    @property
    def limits(self) -> DrainLimits:
        """Return how lines are divided into blocks."""
        return _LIMITS

    async def deliver(self, block: LogBlock) -> None:
        """Return when the receiver has acknowledged a block. Raises DrainError."""
        data = encode(block.batches, self._head).data
        was_idle = self._connection is not None
        try:
            await self._send(data)
        except ConnectionBroken as broken:
            if broken.taken_bytes or not was_idle:
                raise self._failed(block, broken) from None
        else:
            return
        # The connection broke while it was idle, which shows only when something is sent.
        try:
            await self._send(data)
        except ConnectionBroken as broken:
            raise self._failed(block, broken) from None

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _send(self, data: bytes) -> None:
        connection = await self._open()
        try:
            await connection.send(data)
        except BaseException:
            connection.abort()
            self._connection = None
            raise

    async def _open(self) -> Connection:
        """Return the connection, a new one if the receiver has closed it."""
        if self._connection is not None and self._connection.ending is not None:
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection = await self._connect()
        return self._connection

    def _failed(self, block: LogBlock, broken: ConnectionBroken) -> DrainError:
        taken = whole_lines(block.batches, self._head, broken.taken_bytes)
        return DrainError(str(broken), taken_lines=taken)
