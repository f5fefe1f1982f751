"""Find the processes of dynos, signal them, and end them."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Mapping
from functools import cached_property

from hsup.errors import DriverError
from hsup_driver_simple.mark import (
    is_running,
    mark_of,
    owner_is_alive,
    owner_pid,
    parent_of,
)

#: How long to wait for killed processes before looking again: the kernel may delay their end.
KILLED_SECONDS = 1.0
#: How often to look for the end of processes if no event reports it.
LOOK_SECONDS = 0.05
#: The grace period of processes that a previous hsup left running.
_SWEEP_GRACE_SECONDS = 2.0


class Snapshot:
    """All processes at one moment, by their marks and by their parents."""

    def __init__(self) -> None:
        self.marked: dict[int, set[int]] = {}
        self._others: list[int] = []
        self._children: Mapping[int, set[int]] | None = None
        for entry in os.listdir("/proc"):
            if not entry.isdecimal():
                continue
            pid = int(entry)
            if mark := mark_of(pid):
                self.marked.setdefault(mark, set()).add(pid)
            else:
                self._others.append(pid)

    def members(self, mark: int, first: int | None = None) -> set[int]:
        """Return the processes of a dyno: those with its mark, and their descendants.

        `first` is the dyno's main process, as long as it has not been waited for.
        """
        members = set(self.marked.get(mark, ()))
        if first is not None:
            members.add(first)
        waiting = list(members)
        while waiting:
            for pid in self._started_by(waiting.pop()) - members:
                members.add(pid)
                waiting.append(pid)
        return members

    def _started_by(self, pid: int) -> set[int]:
        """Return a process's children without a mark, and its dynos if it is another hsup.

        A process that has ended has no children: after most dynos no parents are looked up.
        """
        dynos = self._of_hsups.get(pid, set())
        if not is_running(pid):
            return dynos
        if self._children is None:
            self._children = self._children_by_parent()
        return dynos | self._children.get(pid, set())

    def _children_by_parent(self) -> Mapping[int, set[int]]:
        children: dict[int, set[int]] = {}
        for pid in self._others:
            children.setdefault(parent_of(pid), set()).add(pid)
        return children

    @cached_property
    def _of_hsups(self) -> Mapping[int, set[int]]:
        """Return the processes of the dynos of other hsups, by the pids of those hsups."""
        dynos: dict[int, set[int]] = {}
        for mark, pids in self.marked.items():
            if owner_pid(mark) != os.getpid():
                dynos.setdefault(owner_pid(mark), set()).update(pids)
        return dynos


def send(pids: Iterable[int], number: int) -> set[int]:
    """Send a signal to processes from a snapshot that was just taken.

    Parents get it before their children. Otherwise they would see their children end by the
    signal: a shell would continue its script, and print "Killed". Returns the processes that
    hsup may not signal: set-id programs, unless hsup runs as root.
    """
    refused = set()
    for pid in sorted(pids):  # the order in which they were started, until pids wrap around
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            refused.add(pid)
    return refused


def refusal(pids: Iterable[int]) -> DriverError:
    """Return the error for processes that cannot be killed."""
    names = ", ".join(f"{pid} ({_name_of(pid)})" for pid in sorted(pids))
    return DriverError(f"cannot kill {names}: owned by another user", hint="run hsup as root")


def clear(mark: int, first: int | None, grace_seconds: float) -> None:
    """Wait until no process of a dyno is left; kill those that remain after the grace period.

    Raises DriverError for processes that cannot be killed.
    """
    deadline = time.monotonic() + grace_seconds
    gone = {pid for pid in (first,) if pid is not None and not is_running(pid)}
    while left := Snapshot().members(mark, first) - gone:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            if send(left, signal.SIGKILL) >= left:
                raise refusal(left)
            seconds = KILLED_SECONDS
        gone |= ended(left, seconds)


def sweep() -> list[str]:
    """End the processes that previous hsups left running; return their pids and names."""
    orphans = _orphans(Snapshot())
    leftovers = [f"process {pid}, {_name_of(pid)}" for pids in orphans.values() for pid in pids]
    for pids in orphans.values():
        send(pids, signal.SIGTERM)
    deadline = time.monotonic() + _SWEEP_GRACE_SECONDS
    for mark, pids in orphans.items():
        clear(mark, None, max(0.0, deadline - time.monotonic()))
        send(pids - ended(pids, 0), signal.SIGKILL)
    return leftovers


def ended(pids: Iterable[int], timeout_seconds: float) -> set[int]:
    """Wait until all processes have ended, or the timeout; return those that have ended."""
    deadline = time.monotonic() + timeout_seconds
    gone: set[int] = set()
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            gone.add(pid)
            continue
        except OSError:  # no descriptor is left
            time.sleep(LOOK_SECONDS)
            continue
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            gone.add(pid)
        os.close(descriptor)
    return gone


def _orphans(snapshot: Snapshot) -> dict[int, set[int]]:
    """Return the processes that previous hsups left running, by mark."""
    orphans = {}
    for mark, pids in snapshot.marked.items():
        if not owner_is_alive(mark) and any(map(_counts_pids_as_we_do, pids)):
            living = {pid for pid in snapshot.members(mark) if is_running(pid)}
            if living and os.getpid() not in living:  # hsup may run inside a dyno that is left
                orphans[mark] = living
    return orphans


def _counts_pids_as_we_do(pid: int) -> bool:
    """Tell whether a process is in hsup's pid namespace, so that the pid in its mark is valid."""
    try:
        theirs = os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return False
    return theirs == os.stat("/proc/self/ns/pid").st_ino


def _name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "ended"
