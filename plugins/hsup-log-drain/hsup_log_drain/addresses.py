"""Check the host of a URL, and find its addresses, anew each time."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from hsup.descriptors import unless_lowered
from hsup.errors import DrainUnreachable, TooManyProcesses, UsageError
from hsup.log_drain import DrainURL
from hsup.threads import in_thread

#: A resolver asks its servers for 5 s each, twice (man 5 resolv.conf); lines wait meanwhile.
_RESOLVING_SECONDS = 10.0

#: A name, or an address, which may have a zone.
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")


class Address(NamedTuple):
    """One address of a host."""

    family: int
    address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def ascii_host(url: DrainURL) -> str:
    """Return the host of a URL in ASCII. Raises UsageError for what can be none."""
    try:
        host = url.host.encode("idna").decode()
    except UnicodeError:  # in it may be what was meant as a password
        host = ""
    if not _HOST.fullmatch(host):
        raise UsageError("its URL has no valid host")
    return host


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
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number)  # asyncio's own text has the address
    return getattr(error, "strerror", None) or str(error)
