"""Encode netlink requests for a dyno's interfaces: the only user of pyroute2."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import (  # type: ignore[import-untyped]
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
)
from pyroute2.netlink.rtnl import (  # type: ignore[import-untyped]
    RTM_DELLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
)
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP, ifinfmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]

from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.network.link_values import LinkRequests, LinkValues
from hsup_driver_libcontainer.network.settings import EXTRA, FIRST, ExtraRoute, NetworkSettings
from hsup_driver_libcontainer.network.subnets import PREFIX_LENGTH, dotted

#: The numbers of a dyno's interfaces in its own namespace: the kernel gives low
#: ones to the tunnels that some of its modules put into every namespace.
_LOOPBACK, _FIRST_INDEX, _EXTRA_INDEX = 1, 1000, 1001
_INDEX_OF = {FIRST: _FIRST_INDEX, EXTRA: _EXTRA_INDEX}

#: Process 1 of the sender's pid namespace: the dyno's first process.
_OWN_NAMESPACE = ("IFLA_NET_NS_PID", 1)
#: Otherwise the kernel makes as many queues as the machine has processors.
_ONE_QUEUE = (("IFLA_NUM_TX_QUEUES", 1), ("IFLA_NUM_RX_QUEUES", 1))

_ADDR_GEN_MODE_NONE = 1  # linux/if_link.h, like the next
_IPVLAN_MODE_L3 = 1
_RTNH_F_ONLINK = 4  # linux/rtnetlink.h, like those below
_ROUTE = {
    "family": socket.AF_INET,
    "table": 254,  # RT_TABLE_MAIN
    "proto": 3,  # RTPROT_BOOT, as ip(8) uses
    "type": 1,  # RTN_UNICAST
}

_NEW = NLM_F_CREATE | NLM_F_EXCL
_REPLACED = NLM_F_CREATE | NLM_F_REPLACE

_Attributes = Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class _Request:
    """A request, and what it does in words."""

    step: str
    message: type[Any]
    kind: int
    flags: int
    fields: dict[str, int]
    attributes: _Attributes = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    """An interface and its address."""

    name: str
    number: int
    address: str
    prefix_length: int


def encode(
    settings: NetworkSettings, group: int, values: LinkValues, *, has_ipv6: bool
) -> LinkRequests:
    """Return the requests; their steps have placeholders such as `{name}` and `{dyno}`."""
    host = list(_host_side(settings, group, values, has_ipv6=has_ipv6))
    dyno = list(_dyno_side(settings, values, has_ipv6=has_ipv6))
    plan = NetworkPlan(
        interface=values.name,
        host=_encoded(host),
        host_steps=[request.step for request in host],
        dyno=_encoded(dyno),
        dyno_steps=[request.step for request in dyno],
    )
    removal = _Request(
        "remove the interface {name}", ifinfmsg, RTM_DELLINK, 0, {"index": values.number}
    )
    return LinkRequests(plan, _encoded([removal]))


def _host_side(
    settings: NetworkSettings, group: int, values: LinkValues, *, has_ipv6: bool
) -> Iterator[_Request]:
    yield _veth(group, values)
    at = _At(
        name="{name}",
        number=values.number,
        address=values.gateway,
        prefix_length=PREFIX_LENGTH,
    )
    yield from _configured(at, "{gateway}", has_ipv6=has_ipv6)
    if settings.extra_interface:
        yield _ipvlan(settings.extra_interface.parent, values.parent)


def _dyno_side(
    settings: NetworkSettings, values: LinkValues, *, has_ipv6: bool
) -> Iterator[_Request]:
    yield _up("lo", _LOOPBACK)
    at = _At(name=FIRST, number=_FIRST_INDEX, address=values.dyno, prefix_length=PREFIX_LENGTH)
    yield from _configured(at, "{dyno}", has_ipv6=has_ipv6)
    if settings.extra_interface:
        network = settings.extra_interface.address
        at = _At(
            name=EXTRA,
            number=_EXTRA_INDEX,
            address=dotted(network.address),
            prefix_length=network.prefix_length,
        )
        yield from _configured(at, str(network), has_ipv6=has_ipv6)
    yield _default_route(values)
    for route in settings.extra_routes:
        yield _extra_route(route, values)


def _configured(at: _At, shown: str, *, has_ipv6: bool) -> Iterator[_Request]:
    """Yield the requests that give an interface its address and bring it up."""
    if has_ipv6:
        yield _without_ipv6(at.name, at.number)
    yield _address(at, shown)
    yield _up(at.name, at.number)


def _link(step: str, index: int, flags: int, attributes: _Attributes) -> _Request:
    return _Request(step, ifinfmsg, RTM_NEWLINK, flags, {"index": index}, attributes)


def _veth(group: int, values: LinkValues) -> _Request:
    peer = {
        "index": _FIRST_INDEX,
        "attrs": [("IFLA_IFNAME", FIRST), _OWN_NAMESPACE, *_ONE_QUEUE],
    }
    attributes = (
        ("IFLA_IFNAME", values.name),
        ("IFLA_GROUP", group),
        *_ONE_QUEUE,
        _kind("veth", [("VETH_INFO_PEER", peer)]),
    )
    return _link("make the interface {name}", values.number, _NEW, attributes)


def _ipvlan(parent: str, parent_index: int) -> _Request:
    attributes = (
        ("IFLA_IFNAME", EXTRA),
        ("IFLA_LINK", parent_index),
        _OWN_NAMESPACE,
        _kind("ipvlan", [("IFLA_IPVLAN_MODE", _IPVLAN_MODE_L3)]),
    )
    return _link(f"make {EXTRA}, an ipvlan of {parent}", _EXTRA_INDEX, _NEW, attributes)


def _kind(kind: str, data: list[tuple[str, Any]]) -> tuple[str, Any]:
    info = [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": data})]
    return ("IFLA_LINKINFO", {"attrs": info})


def _without_ipv6(name: str, index: int) -> _Request:
    """Keep an interface from generating an IPv6 address when it is brought up."""
    mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _ADDR_GEN_MODE_NONE)]}
    specific = [("AF_INET6", mode)]
    attributes = [("IFLA_AF_SPEC", {"attrs": specific})]
    return _link(f"turn off IPv6 on {name}", index, 0, attributes)


def _up(name: str, index: int) -> _Request:
    fields = {"index": index, "flags": IFF_UP, "change": IFF_UP}
    return _Request(f"bring {name} up", ifinfmsg, RTM_NEWLINK, 0, fields)


def _address(at: _At, shown: str) -> _Request:
    fields = {"family": socket.AF_INET, "prefixlen": at.prefix_length, "index": at.number}
    attributes = [("IFA_LOCAL", at.address), ("IFA_ADDRESS", at.address)]
    step = f"give {at.name} the address {shown}"
    return _Request(step, ifaddrmsg, RTM_NEWADDR, _NEW, fields, attributes)


def _default_route(values: LinkValues) -> _Request:
    attributes = [("RTA_GATEWAY", values.gateway), ("RTA_OIF", _FIRST_INDEX)]
    return _route("make the default route", _NEW, _ROUTE, attributes)


def _extra_route(route: ExtraRoute, values: LinkValues) -> _Request:
    """Return the request for a route, which may replace the default route.

    On an ipvlan of layer 3 any gateway works, as the host routes its packets.
    """
    gateway = values.gateway if route.gateway is None else dotted(route.gateway)
    attributes = [
        ("RTA_DST", dotted(route.destination.addresses.start)),
        ("RTA_GATEWAY", gateway),
        ("RTA_OIF", _INDEX_OF[route.interface]),
    ]
    onlink = _RTNH_F_ONLINK if route.interface == EXTRA else 0
    fields = {**_ROUTE, "dst_len": route.destination.prefix_length, "flags": onlink}
    step = f"make the route to {route.destination} through {route.interface}"
    return _route(step, _REPLACED, fields, attributes)


def _route(step: str, flags: int, fields: dict[str, int], attributes: _Attributes) -> _Request:
    return _Request(step, rtmsg, RTM_NEWROUTE, flags, fields, attributes)


def _encoded(requests: Sequence[_Request]) -> str:
    """Return all requests, numbered from 0; only the last one asks for an acknowledgement."""
    last = len(requests) - 1
    return b"".join(
        _encoded_one(request, number, NLM_F_ACK if number == last else 0)
        for number, request in enumerate(requests)
    ).hex()


def _encoded_one(request: _Request, number: int, answered: int) -> bytes:
    message = request.message()
    message["header"]["type"] = request.kind
    message["header"]["flags"] = NLM_F_REQUEST | request.flags | answered
    message["header"]["sequence_number"] = number
    for name, value in request.fields.items():
        message[name] = value
    message["attrs"] = list(request.attributes)
    message.encode()
    return bytes(message.data)
