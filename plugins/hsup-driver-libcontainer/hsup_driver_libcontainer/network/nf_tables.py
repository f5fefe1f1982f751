"""Remove the rules for dynos in one transaction of the kernel's nf_tables.

After it has removed rules, the kernel waits for an RCU grace period, some 10 ms, and
closing a socket of nf_tables waits with it. nft(8) and iptables(8) would do so one after
the other; here that is done once for all rules, while hsup does other things.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hsup_driver_libcontainer.child.netlink_apply import request
from hsup_driver_libcontainer.network.nft import TABLE

_NETLINK_NETFILTER = 12  # linux/netlink.h, like the flags and the first kinds
_REQUEST, _ACK, _DUMP, _CREATE = 1, 4, 0x300, 0x400
_ERROR, _DONE = 2, 3
_INTERRUPTED = 0x10

_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES, linux/netfilter/nfnetlink.h, like the batches
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _DELETE_TABLE = _SUBSYSTEM | 0, _SUBSYSTEM | 2  # linux/netfilter/nf_tables.h
_NEW_RULE, _GET_RULE, _DELETE_RULE = _SUBSYSTEM | 6, _SUBSYSTEM | 7, _SUBSYSTEM | 8
_TABLE_NAME = 1
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE = 1, 2, 3
_INET, _IPV4 = 1, 2  # NFPROTO_*, linux/netfilter.h

#: The subsystem of a batch; the kernel reads it in the first message only.
_RESOURCE = socket.htons(_SUBSYSTEM >> 8)

#: struct nlmsghdr with struct nfgenmsg, whose last field is in network byte order.
_HEADER = struct.Struct("=IHHIIBBH")
_ATTRIBUTE = struct.Struct("=HH")
_ATTRIBUTE_KIND = 0x3FFF
_PACKET_BYTES = 1 << 16

#: The match `comment`, its revision, and its content from iptables: NFTA_MATCH_*.
_OURS = re.compile(rb"\x01\0comment\0\x08\0\x02\0.{4}..\x03\0hsup\0", re.DOTALL)


class Removal(NamedTuple):
    """The number of iptables rules removed; closing `netlink` waits for the RCU grace period."""

    rules: int
    netlink: socket.socket


def remove(chain: str | None, rules: int) -> Removal:
    """Remove the table, if it exists, and hsup's rules in one of iptables' chains.

    The rules stay if their number is not `rules`, or if other software changes the chain
    meanwhile. Raises OSError, having removed nothing.
    """
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    try:
        handles = _own_rules(netlink, chain) if chain else []
        if len(handles) != rules:
            handles = []
        try:
            _remove(netlink, chain or "", handles)
        except FileNotFoundError:
            handles = []
            _remove(netlink, "", handles)
    except BaseException:
        netlink.close()
        raise
    return Removal(len(handles), netlink)


def _remove(netlink: socket.socket, chain: str, handles: Sequence[bytes]) -> None:
    chain_attributes = _text(_RULE_TABLE, "filter") + _text(_RULE_CHAIN, chain)
    table = _text(_TABLE_NAME, TABLE)
    batch = [
        (_BATCH_BEGIN, 0, 0, b""),
        *(
            (_DELETE_RULE, 0, _IPV4, chain_attributes + _attribute(_RULE_HANDLE, handle))
            for handle in handles
        ),
        (_NEW_TABLE, _CREATE, _INET, table),  # deleting a missing table is an error
        (_DELETE_TABLE, _ACK, _INET, table),
    ]
    packet = b"".join(
        _message(type_number, flags, number, family, attributes)
        for number, (type_number, flags, family, attributes) in enumerate(batch)
    )
    packet += _message(_BATCH_END, 0, len(batch), 0, b"")
    request(netlink, packet, [f"message {number}" for number in range(len(batch))])


def _own_rules(netlink: socket.socket, chain: str) -> list[bytes]:
    """Return the handles of hsup's rules, in the kernel's encoding; none if the chain changes."""
    chain_attributes = _text(_RULE_TABLE, "filter") + _text(_RULE_CHAIN, chain)
    netlink.send(_message(_GET_RULE, _DUMP, 0, _IPV4, chain_attributes))
    handles: list[bytes] = []
    is_whole = True
    while True:
        for type_number, flags, content in _messages(netlink.recv(_PACKET_BYTES)):
            is_whole = is_whole and not flags & _INTERRUPTED
            if type_number in (_DONE, _ERROR):
                (number,) = struct.unpack_from("=i", content)
                return handles if is_whole and not number else []
            if type_number == _NEW_RULE and _OURS.search(content):
                handles += [value for name, value in _attributes(content) if name == _RULE_HANDLE]


def _message(type_number: int, flags: int, number: int, family: int, attributes: bytes) -> bytes:
    size = _HEADER.size + len(attributes)
    header = (size, type_number, _REQUEST | flags, number, 0, family, 0, _RESOURCE)
    return _HEADER.pack(*header) + attributes


def _text(type_number: int, value: str) -> bytes:
    return _attribute(type_number, value.encode() + b"\0")


def _attribute(type_number: int, value: bytes) -> bytes:
    return (
        _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), type_number) + value + bytes(-len(value) % 4)
    )


def _messages(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the kind, the flags and the content of each message."""
    while packet:
        size, type_number, flags = struct.unpack_from("=IHH", packet)
        yield type_number, flags, packet[16:size]
        packet = packet[-(-size // 4) * 4 :]


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    content = content[4:]  # struct nfgenmsg
    while content:
        size, type_number = _ATTRIBUTE.unpack_from(content)
        yield type_number & _ATTRIBUTE_KIND, content[_ATTRIBUTE.size : size]
        content = content[-(-size // 4) * 4 :]
