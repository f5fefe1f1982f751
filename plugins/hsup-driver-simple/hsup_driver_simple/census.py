"""Count and end the processes of many dynos on an event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection

from hsup_driver_simple.mark import marked_processes
from hsup_driver_simple.processes import KILLED_SECONDS, send


class Census:
    """Looks through all processes, once for all dynos that ask at the same time."""

    def __init__(self) -> None:
        self._next: asyncio.Task[dict[int, set[int]]] | None = None
        self._not_before = 0.0

    async def members(self, mark: int) -> set[int]:
        """Return the pids that carry a mark, as of a moment after this call."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._count())
        counted = await asyncio.shield(self._next)
        return counted.get(mark, set())

    async def signal(self, mark: int, number: int) -> None:
        """Send a signal once to every process that carries a mark.

        Looks again until nobody new is found: a child that was forked while
        its parent was being signalled has not got the signal.
        """
        signalled: set[int] = set()
        while fresh := await self.members(mark) - signalled:
            send(fresh, mark, number)
            signalled |= fresh

    async def clear(self, mark: int, grace_seconds: float) -> bool:
        """Return when no process carries a mark; tell whether one had to be killed."""
        deadline = time.monotonic() + grace_seconds
        gone: set[int] = set()
        killed = False
        while left := await self.members(mark) - gone:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                killed = True
                send(left, mark, signal.SIGKILL)
                seconds = KILLED_SECONDS
            gone |= await _ended(left, seconds)
        return killed

    async def _count(self) -> dict[int, set[int]]:
        # At most every other moment goes into counting, however many dynos end.
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._next = None
        began = time.monotonic()
        found: dict[int, set[int]] = {}
        for pid, mark in marked_processes():
            found.setdefault(mark, set()).add(pid)
        now = time.monotonic()
        self._not_before = now + (now - began)
        return found


async def _ended(pids: Collection[int], timeout_seconds: float) -> set[int]:
    """Return which processes have ended, when all have or the time is over."""
    waits = [asyncio.ensure_future(_end_of(pid)) for pid in pids]
    done, late = await asyncio.wait(waits, timeout=timeout_seconds)
    for one in late:
        one.cancel()
    return {one.result() for one in done}


async def _end_of(pid: int) -> int:
    """Return the pid when its process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return pid
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return pid
