"""Connect to the receiver that a URL names."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING

from hsup_log_drain import dialing
from hsup_log_drain.addresses import resolve
from hsup_log_drain.http.connection import Connection
from hsup_log_drain.http.target import Target
from hsup_log_drain.tls import refusal

if TYPE_CHECKING:
    import ssl

#: For all addresses and for TLS together.
_SECONDS = dialing.SECONDS

_OPTIONS = ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),)


async def connect(target: Target) -> Connection:
    """Return a new connection; the host is resolved anew. Raises DrainUnreachable."""
    context = None if target.tls is None else await target.tls.context()
    addresses = await resolve(target.url, socket.SOCK_STREAM, target.default_port)
    loop = asyncio.get_running_loop()
    end = loop.time() + _SECONDS
    connected = await dialing.dial(addresses, _OPTIONS, _SECONDS)
    if context is None:
        _, connection = await loop.create_connection(
            partial(Connection, target.url), sock=connected
        )
        return connection
    return await _established(connected, target, context, end - loop.time())


async def _established(
    connected: socket.socket, target: Target, context: ssl.SSLContext, seconds: float
) -> Connection:
    """Have the event loop serve a socket with TLS. Raises DrainUnreachable."""
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            partial(Connection, target.url),
            sock=connected,
            ssl=context,
            server_hostname=target.url.host,
            ssl_handshake_timeout=max(seconds, _SECONDS / 3),
            ssl_shutdown_timeout=_SECONDS,
        )
    except OSError as error:
        raise refusal(error, target.url) from None
    return connection
