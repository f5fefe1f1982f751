"""Connect to the receiver that a URL names: the addresses of its host in turn."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from hsup.errors import DrainError, DrainUnreachable
from hsup_log_drain.addresses import Address, reason, resolve
from hsup_log_drain.http.connection import Connection
from hsup_log_drain.http.target import Target
from hsup_log_drain.tls import refusal

#: For all addresses and for TLS together, as the platform has it.
_SECONDS = 3.0


async def connect(target: Target) -> Connection:
    """Return a new connection; the host is resolved anew. Raises DrainUnreachable."""
    addresses = await resolve(target.url, socket.SOCK_STREAM, target.default_port)
    loop = asyncio.get_running_loop()
    end = loop.time() + _SECONDS
    failure = DrainUnreachable("cannot connect: its host has no address")
    for number, address in enumerate(addresses):
        share = (end - loop.time()) / (len(addresses) - number)
        try:
            async with asyncio.timeout(share):
                connected = await _connected(address)
        except TimeoutError:
            failure = DrainUnreachable(f"cannot connect: no answer within {_SECONDS:.0f} s")
        except OSError as error:
            failure = DrainUnreachable(f"cannot connect: {reason(error)}")
        else:
            return await _established(connected, target, end - loop.time())
    raise failure


async def _connected(address: Address) -> socket.socket:
    """Return a socket that is connected to an address. Raises OSError."""
    created = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        created.setblocking(False)  # noqa: FBT003 - its only way
        created.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(created, address.address)
    except BaseException:
        created.close()
        raise
    return created


async def _established(connected: socket.socket, target: Target, seconds: float) -> Connection:
    """Have the event loop serve a socket, with TLS if the target has it."""
    create = asyncio.get_running_loop().create_connection
    protocol = partial(Connection, target.url)
    if target.tls is None:
        return (await create(protocol, sock=connected))[1]
    try:
        context = target.tls.context()
    except DrainError:
        connected.close()
        raise
    try:
        _, connection = await create(
            protocol,
            sock=connected,
            ssl=context,
            server_hostname=target.url.host,
            ssl_handshake_timeout=max(seconds, _SECONDS / 3),
            ssl_shutdown_timeout=_SECONDS,
        )
    except OSError as error:
        raise refusal(error, target.url) from None
    return connection
