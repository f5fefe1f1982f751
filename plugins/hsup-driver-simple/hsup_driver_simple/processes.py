"""Find the processes of dynos by their marks, signal them, and end them."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable

from hsup_driver_simple.mark import has_mark, is_running, marked_processes, owner_is_alive

#: A process that does not end on SIGKILL is in the kernel's hands; look again.
KILLED_SECONDS = 1.0
#: What leftovers of a dead hsup get between SIGTERM and SIGKILL.
_SWEEP_GRACE_SECONDS = 2.0


def members(mark: int) -> set[int]:
    """Return the pids that carry a mark."""
    return {pid for pid, found in marked_processes() if found == mark}


def send(pids: Iterable[int], mark: int, number: int) -> None:
    """Send a signal to those of the processes that still carry the mark."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # While it is open, the pid cannot come to mean another process.
            if has_mark(pid, mark):
                signal.pidfd_send_signal(descriptor, number)
        except (ProcessLookupError, PermissionError):
            pass
        finally:
            os.close(descriptor)


def clear(mark: int, grace_seconds: float) -> None:
    """Return when no process carries a mark; who does after the grace is killed."""
    deadline = time.monotonic() + grace_seconds
    gone: set[int] = set()
    while left := members(mark) - gone:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            send(left, mark, signal.SIGKILL)
            seconds = KILLED_SECONDS
        gone |= _ended(left, seconds)


def sweep() -> list[str]:
    """End every process of every hsup that is no more; return their pids and names."""
    orphans: dict[int, list[int]] = {}
    for pid, mark in marked_processes():
        if is_running(pid) and not owner_is_alive(mark) and _counts_pids_as_we_do(pid):
            orphans.setdefault(mark, []).append(pid)
    told = [f"process {pid}, {_name_of(pid)}" for pids in orphans.values() for pid in pids]
    for mark, pids in orphans.items():
        send(pids, mark, signal.SIGTERM)
    deadline = time.monotonic() + _SWEEP_GRACE_SECONDS
    for mark in orphans:
        clear(mark, max(0.0, deadline - time.monotonic()))
    return told


def _ended(pids: Iterable[int], timeout_seconds: float) -> set[int]:
    """Return which processes have ended, when all have or the time is over."""
    deadline = time.monotonic() + timeout_seconds
    gone: set[int] = set()
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            gone.add(pid)
            continue
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            gone.add(pid)
        os.close(descriptor)
    return gone


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
