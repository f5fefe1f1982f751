"""Receivers that do what a test tells them, on the event loop of the drain.

As nothing else runs meanwhile, what a kernel has taken does not change behind a test's back.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from hsup_log_drain.testing.certificates import Certificate

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 60


class Peer:
    """The receiver's end of a connection."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.settimeout(0)
        self._socket = accepted

    async def read(self, size: int) -> bytes:
        """Return so many bytes, or fewer before the end."""
        data = b""
        while len(data) < size and (more := await self._receive(size - len(data))):
            data += more
        return data

    async def read_all(self) -> bytes:
        """Return everything up to the end, or until the connection is reset."""
        data = b""
        try:
            while more := await self._receive(1 << 20):
                data += more
        except ConnectionResetError:
            pass
        return data

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def unread(self) -> bytes:
        """Return what the kernel has taken, and leave it there."""
        count = struct.unpack("i", fcntl.ioctl(self._socket, termios.FIONREAD, bytes(4)))[0]
        data = self._socket.recv(count, socket.MSG_PEEK) if count else b""
        assert len(data) == count
        return data

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close it, which resets the connection if anything is unread."""
        self._socket.close()

    async def _receive(self, size: int) -> bytes:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await asyncio.get_running_loop().sock_recv(self._socket, size)


class Listener:
    """A port at which connections are accepted one by one."""

    def __init__(self, *, port: int = 0, buffer_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._socket.settimeout(0)
        self._socket.bind((_HOST, port))
        self._socket.listen()
        self._peers: list[Peer] = []
        self.port: int = self._socket.getsockname()[1]

    async def accept(self) -> Peer:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            accepted, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        self._peers.append(Peer(accepted))
        return self._peers[-1]

    def close(self) -> None:
        self._socket.close()
        for peer in self._peers:
            peer.close()


@contextmanager
def listening(*, port: int = 0, buffer_bytes: int | None = None) -> Iterator[Listener]:
    listener = Listener(port=port, buffer_bytes=buffer_bytes)
    try:
        yield listener
    finally:
        listener.close()


class Opener:
    """The receiver's side of TLS: opens what a peer has read."""

    def __init__(self, certificate: Certificate, version: ssl.TLSVersion) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        context.minimum_version = context.maximum_version = version
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.has_ended = False
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def greet(self, peer: Peer) -> None:
        """Complete the handshake."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await peer.send(self._outgoing.read())
                self._incoming.write(await peer._receive(1 << 16))  # noqa: SLF001 - one of its own kind
            else:
                return await peer.send(self._outgoing.read())

    def open(self, data: bytes) -> bytes:
        """Return what whole records have."""
        self._incoming.write(data)
        opened = b""
        try:
            while more := self._tls.read(1 << 16):
                opened += more
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        return opened

    def end(self) -> bytes:
        """Return what says that nothing more is sent."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass
        return self._outgoing.read()
