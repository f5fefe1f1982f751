"""Reserve ports among all hsups of this machine, whoever runs them.

A port is free until a program opens it, which may be long after hsup has chosen it. A reserved port
has a name that only one process can have at a time: that of an abstract socket, which the kernel
keeps for each network, as it keeps ports, until the process ends (man 7 unix).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable

#: Each process type has so many ports: a name for all of them takes one descriptor.
_PORTS_PER_NAME = 100
#: The name without its number.
NAME = "\0hsup/ports/"


class PortReservation:
    """The ports that one hsup has reserved, by the hundred, until it ends."""

    def __init__(self) -> None:
        self._descriptors: dict[int, int] = {}

    def hold(self, ports: Iterable[int]) -> None:
        """Reserve ports, in place of earlier ones, except for those that another hsup has."""
        for hundred in self._only(ports):
            self._reserve(hundred)

    def take(self, ports: Iterable[int]) -> bool:
        """Reserve ports, in place of earlier ones; return False if another hsup has one of them."""
        return all(map(self._reserve, self._only(ports)))

    def could_take(self, ports: Iterable[int]) -> bool:
        """Tell whether no other hsup has one of these ports."""
        return not any(map(_is_reserved, _hundreds(ports) - self._descriptors.keys()))

    def _only(self, ports: Iterable[int]) -> list[int]:
        """Give up all other ports; return the hundreds of these, in the order of all hsups."""
        wanted = _hundreds(ports)
        for hundred in self._descriptors.keys() - wanted:
            os.close(self._descriptors.pop(hundred))
        return sorted(wanted)

    def _reserve(self, hundred: int) -> bool:
        """Reserve a hundred; return False if another hsup has it."""
        if hundred in self._descriptors:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as named:
                named.bind(f"{NAME}{hundred}")
                self._descriptors[hundred] = named.detach()
        except OSError as error:  # any other: no descriptor is left, or such sockets are forbidden
            return error.errno != errno.EADDRINUSE
        return True


def _hundreds(ports: Iterable[int]) -> set[int]:
    return {port // _PORTS_PER_NAME for port in ports}


def _is_reserved(hundred: int) -> bool:
    """Tell whether an hsup has reserved a hundred, without reserving it for a moment."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.connect(f"{NAME}{hundred}")
    except OSError:
        return False
    return True
