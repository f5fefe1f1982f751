"""The /30 subnets of dynos: each has a gateway, which is the host, and the dyno itself.

A subnet's number is its network address divided by four. It does not depend on the block
that an hsup takes its subnets from, so hsups with different blocks do not collide.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

from hsup.errors import UsageError

BLOCK_VARIABLE = "LIBCONTAINER_DYNO_SUBNET"
#: The Go program's; its author avoided the first addresses, where EC2 had a name server.
DEFAULT_BLOCK = "172.16.0.28/12"

PREFIX_LENGTH = 30
_ADDRESSES = 4
_NETWORK = re.compile(r"([0-9.]+)/([0-9]{1,2})")


class IPv4Net(NamedTuple):
    """An IPv4 network, and the address in it that is written before the slash."""

    address: int
    prefix_length: int

    @property
    def addresses(self) -> range:
        """Return all addresses of the network."""
        size = 1 << (32 - self.prefix_length)
        first = self.address & -size
        return range(first, first + size)

    def __str__(self) -> str:
        return f"{dotted(self.address)}/{self.prefix_length}"


#: This network, loopback, link-local, and multicast with all above it.
_SPECIAL = (
    range(1 << 24),
    range(127 << 24, 128 << 24),
    range(0xA9FE << 16, 0xA9FF << 16),
    range(224 << 24, 1 << 32),
)


class Subnet(NamedTuple):
    """The subnet of one dyno."""

    number: int

    @property
    def gateway(self) -> str:
        """Return the host's address."""
        return dotted(self.number * _ADDRESSES + 1)

    @property
    def dyno(self) -> str:
        """Return the dyno's address."""
        return dotted(self.number * _ADDRESSES + 2)

    def __str__(self) -> str:
        return f"{dotted(self.number * _ADDRESSES)}/{PREFIX_LENGTH}"


def read_block(environ: Mapping[str, str]) -> IPv4Net:
    """Return the block of the subnets, which begin at its address. Raises UsageError."""
    text = environ.get(BLOCK_VARIABLE, "").strip() or DEFAULT_BLOCK
    block = parse_network(text)
    if block is None or not 1 < block.prefix_length <= PREFIX_LENGTH or _is_special(block):
        expected = f"an IPv4 network of /2 to /{PREFIX_LENGTH}"
        hint = f"unset it to use the default, {DEFAULT_BLOCK}"
        raise UsageError(f'{BLOCK_VARIABLE} must be {expected}, got "{text}"', hint=hint)
    return block


def _is_special(block: IPv4Net) -> bool:
    """Tell whether a block has addresses that no interface can have (RFC 6890)."""
    addresses = block.addresses
    return any(
        addresses.start < special.stop and special.start < addresses.stop for special in _SPECIAL
    )


def numbers_of(block: IPv4Net) -> range:
    """Return the numbers of the subnets of a block, beginning at its address."""
    return range(block.address // _ADDRESSES, block.addresses.stop // _ADDRESSES)


def numbers_touched(addresses: range) -> range:
    """Return the numbers of all subnets that overlap a range of addresses."""
    return range(addresses.start // _ADDRESSES, (addresses.stop - 1) // _ADDRESSES + 1)


def parse_network(text: str) -> IPv4Net | None:
    """Return the network that `10.0.0.10/24` stands for, or None."""
    match = _NETWORK.fullmatch(text)
    address = parse_address(match[1]) if match else None
    if match is None or address is None or int(match[2]) > 32:  # noqa: PLR2004 - IPv4
        return None
    return IPv4Net(address, int(match[2]))


def parse_address(text: str) -> int | None:
    """Return the number that an IPv4 address stands for, or None."""
    try:
        packed = socket.inet_pton(socket.AF_INET, text)
    except OSError:
        return None
    return int(struct.unpack("!I", packed)[0])


def dotted(address: int) -> str:
    """Return an IPv4 address in dotted notation."""
    return socket.inet_ntop(socket.AF_INET, struct.pack("!I", address))
