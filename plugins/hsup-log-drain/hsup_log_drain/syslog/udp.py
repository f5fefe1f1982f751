"""Deliver lines over UDP, each in a datagram of its own (RFC 5426)."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress

from hsup.api import LogBatch
from hsup.errors import DrainError, DrainUnreachable
from hsup.log_drain import DrainLimits, DrainURL, LogBlock
from hsup_log_drain.addresses import Address, reason, resolve
from hsup_log_drain.frames import Head
from hsup_log_drain.lines import split_lines
from hsup_log_drain.syslog.cutting import Cutting
from hsup_log_drain.syslog.datagrams import Datagrams

#: Nothing is gained by waiting, except that a flood makes fewer blocks.
_LIMITS = DrainLimits(wait_seconds=0.05)
#: No connection ever breaks here: that a host has moved shows only when its name is looked up.
_RESOLVING_SECONDS = 60.0
_CLOSING_SECONDS = 1.0
_NOT_THERE = frozenset(
    (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
)


class SyslogDatagramDrain:
    """Sends each line in a datagram: without its newline, and cut if it is too long for one.

    Nobody acknowledges datagrams. A receiver that is not there is noticed only if its machine
    says so (ICMP); from then on, one line is tried before others are sent.
    """

    def __init__(self, url: DrainURL, default_port: int, head: Head, size: int) -> None:
        self._url = url
        self._default_port = default_port
        self._head = head
        self._cutting = Cutting(size)
        self._datagrams: Datagrams | None = None
        self._resolve_at = 0.0

    @property
    def limits(self) -> DrainLimits:
        """Return how lines are divided into blocks."""
        return _LIMITS

    async def deliver(self, block: LogBlock) -> None:
        """Return when each line is sent. Raises DrainError."""
        whole = _datagrams(block.batches, self._head)
        datagrams = await self._open()
        try:
            await datagrams.send(self._cutting.cut(whole))
        except OSError as error:
            self._drop()
            was_refused = isinstance(error, ConnectionRefusedError)
            taken = max(datagrams.sent - was_refused, 0)
            self._cutting.note(whole[:taken])
            raise _failed(error, taken) from None
        self._cutting.note(whole)
        if self._cutting.is_due(asyncio.get_running_loop().time()):
            await self._tell(datagrams)

    async def close(self) -> None:
        """Tell what has not been told, and close the socket."""
        if self._datagrams is not None:
            try:
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await self._tell(self._datagrams)
            except TimeoutError:
                pass
            finally:
                self._drop()

    def _drop(self) -> None:
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None

    async def _tell(self, datagrams: Datagrams) -> None:
        """Tell how many lines were cut; a failure shows with the next block."""
        if (told := self._cutting.take(asyncio.get_running_loop().time())) is not None:
            with suppress(OSError):
                await datagrams.send(_datagrams((told,), self._head))

    async def _open(self) -> Datagrams:
        """Return a socket, another one if the address of the host has changed."""
        now = asyncio.get_running_loop().time()
        if self._datagrams is None or now >= self._resolve_at:
            try:
                addresses = await resolve(self._url, socket.SOCK_DGRAM, self._default_port)
                self._datagrams = self._connected(addresses)
            except DrainUnreachable:
                if self._datagrams is None:
                    raise
            self._resolve_at = now + _RESOLVING_SECONDS
        return self._datagrams

    def _connected(self, addresses: Iterable[Address]) -> Datagrams:
        """Return a socket for the first address that there is a way to."""
        before, failure = self._datagrams, DrainUnreachable("its host has no address")
        for address in addresses:
            if before is not None and before.address == address:
                return before
            try:
                connected = Datagrams(address)
            except OSError as error:
                failure = DrainUnreachable(f"cannot send: {reason(error)}")
                continue
            if before is not None:
                before.close()
            return connected
        raise failure


def _datagrams(batches: Iterable[LogBatch], head: Head) -> Sequence[bytes]:
    datagrams: list[bytes] = []
    for batch in batches:
        datagrams += map(head(batch).__add__, split_lines(batch.lines))
    return datagrams


def _failed(error: OSError, taken: int) -> DrainError:
    kind = DrainUnreachable if error.errno in _NOT_THERE else DrainError
    return kind(f"cannot send: {reason(error)}", taken_lines=taken)
