"""Connect to the first address of a host that answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from hsup.errors import DrainUnreachable
from hsup_log_drain.addresses import Address, reason

#: How long a host may take, as the platform has it: all of its addresses together.
SECONDS = 3.0

#: A level, an option and its value, as `setsockopt` takes them.
Options = Sequence[tuple[int, int, int]]


async def dial(addresses: Sequence[Address], options: Options, seconds: float) -> socket.socket:
    """Return a connected socket; no address takes up the time of the others.

    Raises DrainUnreachable.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    failure = "its host has no address"
    for number, address in enumerate(addresses):
        share = (end - loop.time()) / (len(addresses) - number)
        try:
            async with asyncio.timeout(share):
                return await _connected(address, options)
        except TimeoutError:
            failure = f"no answer within {seconds:.0f} s"
        except OSError as error:
            failure = reason(error)
    raise DrainUnreachable(f"cannot connect: {failure}")


async def _connected(address: Address, options: Options) -> socket.socket:
    """Return a socket that is connected to an address. Raises OSError."""
    created = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        created.setblocking(False)  # noqa: FBT003 - its only way
        for level, option, value in options:
            created.setsockopt(level, option, value)
        await asyncio.get_running_loop().sock_connect(created, address.address)
    except BaseException:
        created.close()
        raise
    return created
