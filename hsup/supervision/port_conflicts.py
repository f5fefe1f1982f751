"""Find out what keeps dynos from listening on their ports on this machine.

A program that holds a port keeps only a program from starting that opens the same one, which hsup
cannot know beforehand: it warns, and starts the dyno all the same.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from hsup.model import DynoName
from hsup.numerals import HIGHEST_PORT

#: Bases are round numbers: a step is more than most applications have types.
_BASE_STEP = 500
#: Ports that browsers refuse to open (Fetch, "Port blocking"), from BASE_PORT up.
_BLOCKED = frozenset({5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080})
#: How many dynos a message names.
_NAMED = 3
#: The state of a listening socket in /proc/net/tcp (Linux, include/net/tcp_states.h).
_LISTEN = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")

#: Tells why a dyno may not listen on a port: an error number, None if it may.
Probe = Callable[[int], int | None]
#: Tells whether no other hsup has ports that are free: see PortReservation.
Grant = Callable[[Iterable[int]], bool]


class Holder(NamedTuple):
    """A process that listens on a port."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def probe(port: int) -> int | None:
    """Try to listen on a port of this machine; return the number of the error, None without one.

    A dyno has the rights of hsup where it shares the ports of the machine.
    """
    try:
        tried = socket.socket()
    except OSError:  # no descriptor is left: nothing is known
        return None
    with tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError as error:
            return error.errno
    return None


def warning(ports: Mapping[DynoName, int], probed: Probe) -> str | None:
    """Return a warning about the ports that dynos may not listen on, None without any.

    May take some time where a port is taken, as all processes are looked at.
    """
    problems = {name: number for name, port in ports.items() if (number := probed(port))}
    if not problems:
        return None
    first, *others = problems
    text = describe(ports[first], problems[first], first)
    if others:
        text += f", and likewise for {_listed(others)}"
    return text


def describe(port: int, problem: int, dyno: DynoName | None = None) -> str:
    """Say what keeps a dyno from listening on a port; in lines of its own it is not named.

    May take some time.
    """
    if problem == errno.EADDRINUSE:
        of_dyno = f" of {dyno}" if dyno else ""
        return f"port {port}{of_dyno} is taken by {holder(port) or 'another program'}"
    return f"{dyno or 'the dyno'} may not listen on port {port}: {os.strerror(problem)}"


def free_base(
    ports: Mapping[DynoName, int],
    base: int,
    probed: Probe,
    is_granted: Grant,
    *,
    after: bool = False,
) -> int | None:
    """Return the first base from which all ports are free and granted, None if there is none.

    `ports` are those that the dynos have from `base`, which itself is not looked at if `after`
    is set.
    """
    offsets = [port - base for port in ports.values()]
    highest = HIGHEST_PORT - max(offsets, default=0)
    evens = range(base - base % _BASE_STEP + _BASE_STEP, highest + 1, _BASE_STEP)
    for candidate in evens if after else (base, *evens):
        if candidate > highest:
            return None
        wanted = [candidate + offset for offset in offsets]
        is_free = _BLOCKED.isdisjoint(wanted) and not any(map(probed, wanted))
        if is_free and is_granted(wanted):
            return candidate
    return None


def holder(port: int) -> Holder | None:
    """Return who listens on a port of this machine, None if that may not be seen."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port)}
    if not inodes:
        return None
    try:
        pids = [one for one in os.listdir("/proc") if one.isdigit()]
    except OSError:  # no descriptor is left
        return None
    found = next((pid for pid in pids if _has_open(pid, inodes)), None)
    return None if found is None else Holder(int(found), _name(found))


def _listening(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on a port (man 5 proc_net_tcp)."""
    suffix = f":{port:04X}"
    for path in _TABLES:
        try:
            with open(path, encoding="ascii") as table:
                rows = [line.split() for line in table][1:]
        except OSError:  # the kernel has no IPv6
            continue
        yield from (row[9] for row in rows if row[3] == _LISTEN and row[1].endswith(suffix))


def _has_open(pid: str, links: set[str]) -> bool:
    directory = f"/proc/{pid}/fd"
    try:
        return any(_link(f"{directory}/{number}") in links for number in os.listdir(directory))
    except OSError:  # another user's, or it has ended
        return False


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _name(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().removesuffix("\n")
    except OSError:
        return "a program"


def _listed(names: Iterable[DynoName]) -> str:
    shown = [str(name) for name in names]
    if len(shown) > _NAMED:
        shown[_NAMED - 1 :] = [f"{len(shown) - _NAMED + 1} more"]
    *first, last = shown
    return f"{', '.join(first)} and {last}" if first else last
