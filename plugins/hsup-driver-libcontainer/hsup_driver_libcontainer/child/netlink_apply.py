"""Make the network of a dyno from inside, by sending the requests that hsup has encoded.

The requests choose the number of each new interface, so all of them are known before the
first is answered. They go in two batches; in each, the kernel acknowledges only the last
request unless one fails (it always reports an error, see man 7 netlink).
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
    `host_steps` and `dyno_steps` say what each one does. Those of `host` are for the
    host's namespace, and put the dyno's interfaces into the namespace of process 1, which
    must be the dyno's: they are sent from its pid namespace.
    """

    interface: str
    host: str
    host_steps: Sequence[str]
    dyno: str
    dyno_steps: Sequence[str]


def route_socket() -> socket.socket:
    """Return a netlink socket of the network namespace that this process is in now."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    netlink.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
    return netlink


def apply(host: socket.socket, plan: NetworkPlan) -> None:
    """Make the network; `host` is a netlink socket of the host's namespace.

    Raises OSError that names the refused step.
    """
    request(host, bytes.fromhex(plan.host), plan.host_steps)
    with route_socket() as dyno:
        request(dyno, bytes.fromhex(plan.dyno), plan.dyno_steps)
    _let_transmit(host, plan.interface)


def request(netlink: socket.socket, requests: bytes, steps: Sequence[str]) -> None:
    """Send all requests at once, and wait until they are done. Raises OSError."""
    netlink.send(requests)
    last = len(steps) - 1
    number = -1
    while number != last:
        _, kind, _, number, _, error = _ANSWER.unpack_from(netlink.recv(_ANSWER_BYTES))
        if kind == _NLMSG_ERROR and error:
            raise OSError(-error, os.strerror(-error), f"cannot {steps[number]}")


def _let_transmit(host: socket.socket, interface: str) -> None:
    """Make the kernel notice at once that the dyno's end is up.

    The end that is brought up first drops its packets until a work queue has noticed the
    other one, so a dyno's first connection could take a second. Asking whether there is a
    link makes the kernel look at once (linkwatch_sync_dev).
    """
    value = array.array("I", (_ETHTOOL_GLINK, 0))
    address, _ = value.buffer_info()
    fcntl.ioctl(host, _SIOCETHTOOL, _IFREQ.pack(interface.encode(), address))
