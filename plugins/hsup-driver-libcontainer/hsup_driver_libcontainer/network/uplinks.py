"""Find the interfaces that lead out of the host, and not to its containers and virtual machines."""

from __future__ import annotations

import os
from collections.abc import Sequence

_NETWORK_DEVICES = "/sys/class/net"
_EVERYWHERE = "00000000"
#: The interface of a route that refuses or drops; nft takes it for all interfaces.
_NOWHERE = "*"


def uplinks(directory: str = _NETWORK_DEVICES) -> Sequence[str]:
    """Return the interfaces of default routes, and the bridges with a network card as a port.

    A bridge that connects only containers or virtual machines is not an uplink.
    """
    bridges = (name for name in _listed(directory) if os.path.isdir(f"{directory}/{name}/bridge"))
    return sorted({*_default_routes(), *(name for name in bridges if _has_card(directory, name))})


def _default_routes() -> set[str]:
    with open("/proc/net/route", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return {row[0] for row in rows if row[1] == row[7] == _EVERYWHERE} - {_NOWHERE}


def _has_card(directory: str, name: str) -> bool:
    """Tell whether an interface is hardware, or has some below it: bridge, bond or VLAN."""
    path = f"{directory}/{name}"
    if os.path.exists(f"{path}/device"):
        return True
    links = (link for link in _listed(path) if link.startswith("lower_"))
    return any(_has_card(directory, link.removeprefix("lower_")) for link in links)


def _listed(directory: str) -> Sequence[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:  # no sysfs, or the interface has gone
        return ()
