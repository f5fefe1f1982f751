"""Deliver blocks of lines to systemd's journal, one datagram for each line."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
from contextlib import suppress

from hsup.errors import DrainError, DrainUnreachable, UsageError
from hsup.log_drain import Destination, DrainLimits, LogBlock, LogDrain
from hsup_log_drain.journal.entries import entries
from hsup_log_drain.lines import Progress, without_lines

_SOCKET = "/run/systemd/journal/socket"
_PARAMETER = "socket"
#: Of a socket (man 7 unix).
_LONGEST_PATH = 107
_LIMITS = DrainLimits(lines=1024, bytes=1 << 18, wait_seconds=0.1)
#: So many take 1 ms if each is of another batch; then the event loop has its turn.
_ENTRIES_AT_ONCE = 128
#: How long the journal may take nothing.
_STUCK_SECONDS = 5.0
#: What is told of a datagram that is too large.
_TOO_LARGE = frozenset({errno.EMSGSIZE, errno.ENOBUFS})
#: A sealed file is read where it is; of others the journal makes a copy.
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def journal_drain(destination: Destination) -> LogDrain:
    """Make a drain for a URL of scheme `journal`. Raises UsageError."""
    given, rest = destination.url.take(_PARAMETER)
    rest.require_nothing_else(_PARAMETER)
    if destination.url.authority or destination.url.path:
        text = 'a drain of scheme "journal" has neither a host nor a path'
        raise UsageError(text, hint="write journal: alone, or journal:?socket=PATH")
    path = given.get(_PARAMETER, _SOCKET)
    if not os.path.isabs(path) or "\0" in path or len(os.fsencode(path)) > _LONGEST_PATH:
        text = f'parameter "{_PARAMETER}" of a journal must be an absolute path'
        raise UsageError(text, hint=f"use one of at most {_LONGEST_PATH} bytes")
    return JournalDrain(path)


class JournalDrain:
    """Sends entries to a socket of the journal, which need not be there yet."""

    limits = _LIMITS

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._progress = Progress()

    async def deliver(self, block: LogBlock) -> None:
        """Send all entries. Raises DrainUnreachable if none could be sent, and DrainError."""
        known = self._progress.begin(block.id, block.batches)
        sent = 0
        try:
            for batch in without_lines(block.batches, known):
                for entry in entries(batch):
                    await self._send(entry)
                    sent += 1
                    self._progress.add(1)
                    if not sent % _ENTRIES_AT_ONCE:
                        await asyncio.sleep(0)
        except OSError as error:
            self._disconnect()
            text = f'cannot write to the journal at "{self._path}": {error.strerror}'
            failure = DrainError if sent else DrainUnreachable
            raise failure(text, taken_lines=known + sent) from error

    async def close(self) -> None:
        """Close the socket."""
        self._disconnect()

    async def _send(self, entry: bytes) -> None:
        is_new = self._socket is None
        while True:
            try:
                self._send_now(self._connected(), entry)
            except BlockingIOError:  # the journal has not read what it has got
                await self._writable()
            except ConnectionError:
                if is_new:
                    raise
                self._disconnect()  # it was started anew
                is_new = True
            else:
                return

    def _send_now(self, connected: socket.socket, entry: bytes) -> None:
        try:
            connected.send(entry)
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
            _send_file(connected, entry)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                connected.connect(self._path)
            except BaseException:
                connected.close()
                raise
            self._socket = connected
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _writable(self) -> None:
        """Return when the socket takes more. Raises TimeoutError."""
        loop, connected = asyncio.get_running_loop(), self._connected()
        is_writable = asyncio.Event()
        loop.add_writer(connected, is_writable.set)
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await is_writable.wait()
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, "it takes nothing") from None
        finally:
            with suppress(ValueError):
                loop.remove_writer(connected)


def _send_file(connected: socket.socket, entry: bytes) -> None:
    """Send an entry that is too large for a datagram, in a file of its own."""
    flags = os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC
    with open(os.memfd_create("hsup-journal-entry", flags), "wb", buffering=0) as file:
        rest = memoryview(entry)
        while rest:
            rest = rest[file.write(rest) :]
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
        socket.send_fds(connected, [b""], [file.fileno()])
