"""Tell the interfaces that lead out of the host from its networks of containers and guests."""

from __future__ import annotations

import os
from collections.abc import Sequence

_NETWORK_DEVICES = "/sys/class/net"
_EVERYWHERE = "00000000"
#: The interface of a route that refuses or drops, which nft reads as all interfaces.
_NOWHERE = "*"


def uplinks(folder: str = _NETWORK_DEVICES) -> Sequence[str]:
    """Return the interfaces of default routes, and the bridges that have a card as a port.

    A bridge that has only ends of containers or virtual machines is none of them.
    """
    bridges = (one for one in _listed(folder) if os.path.isdir(f"{folder}/{one}/bridge"))
    return sorted({*_default_routes(), *(one for one in bridges if _has_card(folder, one))})


def _default_routes() -> set[str]:
    with open("/proc/net/route", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return {row[0] for row in rows if row[1] == row[7] == _EVERYWHERE} - {_NOWHERE}


def _has_card(folder: str, name: str) -> bool:
    """Tell whether it is hardware, or is above some: a port, what is bonded, the VLAN's parent."""
    own = f"{folder}/{name}"
    if os.path.exists(f"{own}/device"):
        return True
    below = (one.removeprefix("lower_") for one in _listed(own) if one.startswith("lower_"))
    return any(_has_card(folder, one) for one in below)


def _listed(folder: str) -> Sequence[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:  # no sysfs, or the interface is gone
        return ()
