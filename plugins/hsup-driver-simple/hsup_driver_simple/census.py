"""Find and end the processes of dynos by their marks."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from collections.abc import Collection, Iterable

from hsup_driver_simple.mark import has_mark, marked_processes, owner_is_alive

#: A process that does not end on SIGKILL is in the kernel's hands; look again.
_KILLED_SECONDS = 1.0
#: What leftovers of a dead hsup get between SIGTERM and SIGKILL.
_SWEEP_GRACE_SECONDS = 2.0


class Census:
    """Looks through all processes, once for all dynos that ask at the same time."""

    def __init__(self) -> None:
        self._next: asyncio.Task[dict[int, list[int]]] | None = None
        self._not_before = 0.0

    async def members(self, mark: int) -> list[int]:
        """Return the pids that carry a mark, as of a moment after this call."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._count())
        counted = await asyncio.shield(self._next)
        return counted.get(mark, [])

    async def signal(self, mark: int, number: int) -> None:
        """Send a signal once to every process that carries a mark.

        Looks again until nobody new is found: a child that was forked while
        its parent was being signalled has not got the signal.
        """
        signalled: set[int] = set()
        while fresh := set(await self.members(mark)) - signalled:
            send(fresh, mark, number)
            signalled |= fresh

    async def _count(self) -> dict[int, list[int]]:
        # At most every other moment goes into counting, however many dynos end.
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._next = None
        began = time.monotonic()
        found: dict[int, list[int]] = {}
        for pid, mark in marked_processes():
            found.setdefault(mark, []).append(pid)
        now = time.monotonic()
        self._not_before = now + (now - began)
        return found


def send(pids: Iterable[int], mark: int, number: int) -> None:
    """Send a signal to those of the processes that still carry the mark."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # Between the two the pid cannot be given to another process.
            if has_mark(pid, mark):
                signal.pidfd_send_signal(descriptor, number)
        except (ProcessLookupError, PermissionError):
            pass
        finally:
            os.close(descriptor)


async def ended(pids: Collection[int], timeout_seconds: float) -> set[int]:
    """Return which processes have ended, when all have or the time is over."""
    loop = asyncio.get_running_loop()
    gone: set[int] = set()
    descriptors: dict[int, int] = {}
    finished = loop.create_future()

    def note(pid: int) -> None:
        loop.remove_reader(descriptors[pid])
        gone.add(pid)
        if len(gone) == len(pids) and not finished.done():
            finished.set_result(None)

    for pid in pids:
        try:
            descriptors[pid] = os.pidfd_open(pid)
        except ProcessLookupError:
            gone.add(pid)
        else:
            loop.add_reader(descriptors[pid], note, pid)
    try:
        if descriptors:
            async with asyncio.timeout(timeout_seconds):
                await finished
    except TimeoutError:
        pass
    finally:
        for descriptor in descriptors.values():
            loop.remove_reader(descriptor)
            os.close(descriptor)
    return gone


async def clear(census: Census, mark: int, grace_seconds: float) -> bool:
    """Return when no process carries a mark; tell whether one had to be killed."""
    deadline = time.monotonic() + grace_seconds
    gone: set[int] = set()
    killed = False
    while members := set(await census.members(mark)) - gone:
        left = deadline - time.monotonic()
        if left <= 0:
            killed = True
            send(members, mark, signal.SIGKILL)
            left = _KILLED_SECONDS
        gone |= await ended(members, left)
    return killed


def clear_blocking(mark: int, grace_seconds: float = 0.0) -> None:
    """Do what `clear` does, without an event loop."""
    deadline = time.monotonic() + grace_seconds
    gone: set[int] = set()
    while members := {pid for pid, found in marked_processes() if found == mark} - gone:
        left = deadline - time.monotonic()
        if left <= 0:
            send(members, mark, signal.SIGKILL)
            left = _KILLED_SECONDS
        gone |= _ended_blocking(members, left)


def sweep() -> list[str]:
    """End every process of every hsup that is no more; return their pids and names."""
    orphans: dict[int, list[int]] = {}
    for pid, mark in marked_processes():
        if not owner_is_alive(mark) and _is_ours_to_judge(pid):
            orphans.setdefault(mark, []).append(pid)
    told = [f"process {pid}, {_name_of(pid)}" for pids in orphans.values() for pid in pids]
    for mark, pids in orphans.items():
        send(pids, mark, signal.SIGTERM)
    deadline = time.monotonic() + _SWEEP_GRACE_SECONDS
    for mark in orphans:
        clear_blocking(mark, max(0.0, deadline - time.monotonic()))
    return told


def _is_ours_to_judge(pid: int) -> bool:
    """Tell whether a mark of this process names a pid as we count them, not a container's."""
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino == os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return False


def _name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "ended"


def _ended_blocking(pids: Iterable[int], timeout_seconds: float) -> set[int]:
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
