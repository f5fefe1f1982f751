"""The IPv4 networks that the host already has routes to, or addresses in."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from hsup_driver_libcontainer.network.subnets import IPv4Net

_SIOCGIFCONF = 0x8912  # linux/sockios.h
#: struct ifreq on 64-bit machines: a name, a struct sockaddr_in, and the rest of the union.
_IFREQ = struct.Struct("!16s4xI16x")
#: A VPN replaces the default route by two routes of this length.
_HALF_OF_EVERYTHING = 1


class HostRoute(NamedTuple):
    """A network, and the interface that leads to it."""

    network: IPv4Net
    interface: str


def read_routes() -> list[HostRoute]:
    """Return the routes of the main table except for default routes, and the host's addresses."""
    return [*_main_table(), *_addresses()]


def _main_table() -> Iterator[HostRoute]:
    with open("/proc/net/route", encoding="ascii") as file:
        next(file, "")  # the names of the columns, which an empty table lacks
        for line in file:
            interface, destination, _, _, _, _, _, mask, *_ = line.split()
            prefix_length = int(mask, 16).bit_count()
            if prefix_length > _HALF_OF_EVERYTHING:
                # The kernel prints addresses as numbers in the machine's byte order.
                address = socket.ntohl(int(destination, 16))
                yield HostRoute(IPv4Net(address, prefix_length), interface)


def _addresses() -> Iterator[HostRoute]:
    """Yield the addresses of the interfaces, see man 7 netdevice."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        size, _ = _ifconf(any_socket, 0, 0)
        buffer = array.array("B", bytes(size))
        size, _ = _ifconf(any_socket, size, buffer.buffer_info()[0])
    for name, address in _IFREQ.iter_unpack(buffer[:size]):
        yield HostRoute(IPv4Net(address, 32), name.rstrip(b"\0").decode())


def _ifconf(any_socket: socket.socket, size: int, buffer: int) -> tuple[int, int]:
    """Fill a buffer with as many struct ifreq as fit into it; return their size in bytes."""
    answer = fcntl.ioctl(any_socket, _SIOCGIFCONF, struct.pack("iP", size, buffer))
    return struct.unpack("iP", answer)
