"""Find the addresses of a host, anew each time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from hsup.descriptors import unless_lowered
from hsup.errors import DrainUnreachable, TooManyProcesses
from hsup.log_drain import DrainURL
from hsup.threads import in_thread

#: A resolver asks its servers for 5 s each, twice (man 5 resolv.conf); lines wait meanwhile.
_RESOLVING_SECONDS = 10.0


class Address(NamedTuple):
    """One address of a host."""

    family: int
    address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


async def resolve(url: DrainURL, kind: socket.SocketKind, default_port: int) -> Sequence[Address]:
    """Return the addresses of the host of a URL, the best one first. Raises DrainUnreachable."""
    find = partial(socket.getaddrinfo, url.host, url.port or default_port, type=kind)
    try:
        async with asyncio.timeout(_RESOLVING_SECONDS):
            found = await in_thread(partial(unless_lowered, find))
    except TimeoutError:
        text = f"cannot resolve its host: no answer within {_RESOLVING_SECONDS:.0f} s"
        raise DrainUnreachable(text) from None
    except (OSError, UnicodeError, TooManyProcesses) as error:
        raise DrainUnreachable(f"cannot resolve its host: {reason(error)}") from None
    return [Address(family, address) for family, _, _, _, address in found]


def reason(error: Exception) -> str:
    """Return what the system says of an error, without its number."""
    return getattr(error, "strerror", None) or str(error)
