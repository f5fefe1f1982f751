"""Make the network of a dyno, from its first process: send what hsup has encoded.

An interface gets its number when it is made, so that all requests are known
before any is answered; they go in two batches, of which only the last request is
acknowledged where all goes well (an error is always told, see man 7 netlink).
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

#: struct nlmsghdr and the error of struct nlmsgerr, linux/netlink.h.
_ANSWER = struct.Struct("=IHHIIi")
_NLMSG_ERROR = 2
_SOL_NETLINK, _NETLINK_CAP_ACK = 270, 10  # linux/socket.h, linux/netlink.h
_ANSWER_BYTES = 4096

_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A  # linux/sockios.h, linux/ethtool.h
_IFREQ = struct.Struct("=16sQ16x")


class NetworkPlan(NamedTuple):
    """The requests that make a dyno's network, as hexadecimal text.

    `interface` is the name of the host's end. Requests are numbered from 0, and
    `host_steps` and `dyno_steps` tell what each does. Those of `host` are for the
    host's namespace, and put the dyno's interfaces into the namespace of process 1:
    it is that process that sends them.
    """

    interface: str
    host: str
    host_steps: Sequence[str]
    dyno: str
    dyno_steps: Sequence[str]


def route_socket() -> socket.socket:
    """Return a socket to the network namespace that this process is in now."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    netlink.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
    return netlink


def apply(host: socket.socket, plan: NetworkPlan) -> None:
    """Make the network; `host` is a socket to the host's namespace, which is left by now.

    Raises OSError with the step that was refused.
    """
    request(host, bytes.fromhex(plan.host), plan.host_steps)
    with route_socket() as dyno:
        request(dyno, bytes.fromhex(plan.dyno), plan.dyno_steps)
    _let_transmit(host, plan.interface)


def request(netlink: socket.socket, requests: bytes, steps: Sequence[str]) -> None:
    """Send requests at once, and wait until all are done. Raises OSError."""
    netlink.send(requests)
    last = len(steps) - 1
    number = -1
    while number != last:
        _, kind, _, number, _, error = _ANSWER.unpack_from(netlink.recv(_ANSWER_BYTES))
        if kind == _NLMSG_ERROR and error:
            raise OSError(-error, os.strerror(-error), f"cannot {steps[number]}")


def _let_transmit(host: socket.socket, interface: str) -> None:
    """Have the kernel notice at once that the other end is up.

    Of two ends, the one that is taken up first drops what it should send until a
    work queue has noticed; a dyno's first connection would take a second then. The
    question whether there is a link makes the kernel look (linkwatch_sync_dev).
    """
    value = array.array("I", (_ETHTOOL_GLINK, 0))
    address, _ = value.buffer_info()
    fcntl.ioctl(host, _SIOCETHTOOL, _IFREQ.pack(interface.encode(), address))
