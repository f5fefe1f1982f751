"""Connect to a host, with TLS or without."""

from __future__ import annotations

import asyncio
import socket

from hsup.log_drain import DrainURL
from hsup_log_drain.addresses import resolve
from hsup_log_drain.dialing import SECONDS, dial
from hsup_log_drain.syslog.connection import Connection
from hsup_log_drain.syslog.session import PlainSession, TLSSession
from hsup_log_drain.tls import TLS, refusal

_HANDSHAKE_SECONDS = 5.0
#: How long to wait for a word of a receiver that may yet refuse this side's certificate. Most
#: send a session ticket at once (RFC 8446, 4.6.1).
_REFUSAL_SECONDS = 1.0

#: An idle connection is looked at before a load balancer, or a router, would forget it; lines
#: are sent at once, as there are whole blocks of them.
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_RECEIVED_BYTES = 1 << 16


async def connect(url: DrainURL, default_port: int) -> Connection:
    """Return a connection to the host of a URL. Raises DrainUnreachable."""
    return Connection(await _connected(url, default_port), PlainSession())


async def connect_with_tls(url: DrainURL, default_port: int, tls: TLS) -> Connection:
    """Return a connection with TLS, which the receiver has not refused. Raises DrainUnreachable."""
    session = TLSSession(await tls.context(), url.host)
    connected = await _connected(url, default_port)
    try:
        await _shake_hands(connected, session)
    except OSError as error:
        connected.close()
        raise refusal(error, url) from None
    except BaseException:
        connected.close()
        raise
    connection = Connection(connected, session)
    if session.may_be_refused:
        await _require_acceptance(connection, url)
    return connection


async def _connected(url: DrainURL, default_port: int) -> socket.socket:
    """Return a socket that is connected to the host of a URL. Raises DrainUnreachable."""
    addresses = await resolve(url, socket.SOCK_STREAM, default_port)
    return await dial(addresses, _OPTIONS, SECONDS)


async def _shake_hands(connected: socket.socket, session: TLSSession) -> None:
    """Complete the handshake, or tell the receiver why not. Raises OSError."""
    loop, received = asyncio.get_running_loop(), b""
    async with asyncio.timeout(_HANDSHAKE_SECONDS):
        while True:
            try:
                greeting = session.greet(received)
            except OSError:
                await loop.sock_sendall(connected, session.farewell())
                raise
            await loop.sock_sendall(connected, greeting)
            if session.is_established:
                return
            received = await loop.sock_recv(connected, _RECEIVED_BYTES)
            if not received:
                raise OSError("the receiver closed the connection")


async def _require_acceptance(connection: Connection, url: DrainURL) -> None:
    """Wait for the first word of a receiver, if it has one. Raises DrainUnreachable."""
    try:
        await connection.heard(_REFUSAL_SECONDS)
    except BaseException:
        connection.abort()
        raise
    if (ending := connection.ending) is not None:
        connection.abort()
        raise refusal(ending.error or OSError(ending.text), url)
