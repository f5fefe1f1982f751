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

#: A process that does not end on SIGKILL is in the kernel's hands; look again.
KILLED_SECONDS = 1.0
#: How often to look where there is nothing to wait for.
LOOK_SECONDS = 0.05
#: What leftovers of a dead hsup get between SIGTERM and SIGKILL.
_SWEEP_GRACE_SECONDS = 2.0


class Snapshot:
    """All processes of a moment, by their marks and by whom they come from."""

    def __init__(self) -> None:
        self.marked: dict[int, set[int]] = {}
        self._others: list[int] = []
        self._from: Mapping[int, set[int]] | None = None
        for entry in os.listdir("/proc"):
            if not entry.isdecimal():
                continue
            pid = int(entry)
            if mark := mark_of(pid):
                self.marked.setdefault(mark, set()).add(pid)
            else:
                self._others.append(pid)

    def members(self, mark: int, first: int | None = None) -> set[int]:
        """Return the processes of a dyno: those with its mark, and all that come from them.

        `first` is the dyno's first process, as long as nobody has waited for it.
        """
        found = set(self.marked.get(mark, ()))
        if first is not None:
            found.add(first)
        waiting = list(found)
        while waiting:
            for pid in self._come_from(waiting.pop()) - found:
                found.add(pid)
                waiting.append(pid)
        return found

    def _come_from(self, pid: int) -> set[int]:
        """Return what has no mark of ours: children, and the dynos of an hsup in a dyno.

        What has ended has no children, so that after most dynos nobody's parent is looked at.
        """
        found = self._of_hsups.get(pid, set())
        if not is_running(pid):
            return found
        if self._from is None:
            self._from = self._origins()
        return found | self._from.get(pid, set())

    def _origins(self) -> Mapping[int, set[int]]:
        origins: dict[int, set[int]] = {}
        for pid in self._others:
            origins.setdefault(parent_of(pid), set()).add(pid)
        return origins

    @cached_property
    def _of_hsups(self) -> Mapping[int, set[int]]:
        """Return the dynos of other hsups, by those."""
        dynos: dict[int, set[int]] = {}
        for mark, pids in self.marked.items():
            if owner_pid(mark) != os.getpid():
                dynos.setdefault(owner_pid(mark), set()).update(pids)
        return dynos


def send(pids: Iterable[int], number: int) -> set[int]:
    """Send a signal to processes of which a snapshot was just taken.

    Parents get it before their children, which they would else see end by it: a shell would
    go on with its script, and say "Killed". Returns those that may not be signalled: set-id
    programs, unless we are root.
    """
    refused = set()
    for pid in sorted(pids):  # in which order they were started, until pids begin anew
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
    return DriverError(f"cannot kill {names}: it runs as another user", hint="run hsup as root")


def clear(mark: int, first: int | None, grace_seconds: float) -> None:
    """Return when nothing of a dyno is left; what is there after the grace is killed.

    Raises DriverError for what cannot be killed.
    """
    deadline = time.monotonic() + grace_seconds
    gone = {one for one in (first,) if one is not None and not is_running(one)}
    while left := Snapshot().members(mark, first) - gone:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            if send(left, signal.SIGKILL) >= left:
                raise refusal(left)
            seconds = KILLED_SECONDS
        gone |= ended(left, seconds)


def sweep() -> list[str]:
    """End every process of every hsup that is no more; return their pids and names."""
    orphans = _orphans(Snapshot())
    told = [f"process {pid}, {_name_of(pid)}" for pids in orphans.values() for pid in pids]
    for pids in orphans.values():
        send(pids, signal.SIGTERM)
    deadline = time.monotonic() + _SWEEP_GRACE_SECONDS
    for mark, pids in orphans.items():
        clear(mark, None, max(0.0, deadline - time.monotonic()))
        send(pids - ended(pids, 0), signal.SIGKILL)
    return told


def ended(pids: Iterable[int], timeout_seconds: float) -> set[int]:
    """Return which processes have ended, when all have or the time is over."""
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
    """Return what is left of every dead hsup, by mark."""
    found = {}
    for mark, pids in snapshot.marked.items():
        if not owner_is_alive(mark) and any(map(_counts_pids_as_we_do, pids)):
            living = {pid for pid in snapshot.members(mark) if is_running(pid)}
            if living and os.getpid() not in living:  # we may have been started from there
                found[mark] = living
    return found


def _counts_pids_as_we_do(pid: int) -> bool:
    """Tell whether the pid in a process's mark is one of our namespace, not a container's."""
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
