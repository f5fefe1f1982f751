"""The values that make up the interfaces of one dyno, and the requests for them."""

from __future__ import annotations

from typing import NamedTuple

from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan


class LinkValues(NamedTuple):
    """The values that differ from dyno to dyno: the interface on the host, and the addresses.

    `parent` is the number of the host's interface below the extra one.
    """

    name: str
    number: int
    parent: int
    gateway: str
    dyno: str


class LinkRequests(NamedTuple):
    """The requests that make a dyno's interfaces, and as hexadecimal text one that removes them."""

    plan: NetworkPlan
    removal: str
