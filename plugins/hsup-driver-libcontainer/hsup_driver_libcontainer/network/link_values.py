"""What the interfaces of one dyno are made from, and the requests that make them."""

from __future__ import annotations

from typing import NamedTuple

from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan


class LinkValues(NamedTuple):
    """What differs from dyno to dyno: the interface of the host, and the addresses.

    `parent` is the number of the host's interface that the extra one belongs to.
    """

    name: str
    number: int
    parent: int
    gateway: str
    dyno: str


class LinkRequests(NamedTuple):
    """What makes the interfaces of a dyno, and as hexadecimal text what removes them."""

    plan: NetworkPlan
    removal: str
