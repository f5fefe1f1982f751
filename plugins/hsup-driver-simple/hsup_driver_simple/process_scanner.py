"""Look for processes and wait for their end on an event loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection
from functools import partial

from hsup.descriptors import unless_lowered
from hsup.threads import in_thread
from hsup_driver_simple.descriptors import low_descriptors
from hsup_driver_simple.mark import is_running
from hsup_driver_simple.processes import LOOK_SECONDS, Snapshot

#: How old a snapshot may be for which nothing depends on single processes.
_RECENT_SECONDS = 5.0


class ProcessScanner:
    """Takes snapshots of all processes, one for all dynos that ask at the same time."""

    def __init__(self) -> None:
        self._next: asyncio.Task[Snapshot] | None = None
        self._not_before = 0.0
        self._recent: asyncio.Future[Snapshot] | None = None
        self._recent_since = 0.0

    async def snapshot(self) -> Snapshot:
        """Return the processes as of a moment after this call."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._take())
        return await asyncio.shield(self._next)

    async def recent(self) -> Snapshot:
        """Return the processes as of a few seconds ago at most; it is taken in a thread.

        Raises OSError if too many files are open, and TooManyProcesses.
        """
        recent, now = self._recent, time.monotonic()
        is_old = recent is None or now - self._recent_since > _RECENT_SECONDS
        if recent is None or (recent.done() and (is_old or recent.exception())):
            taking = in_thread(partial(unless_lowered, Snapshot))
            self._recent = recent = asyncio.ensure_future(taking)
            self._recent_since = now
        return await asyncio.shield(recent)

    async def _take(self) -> Snapshot:
        # Looking takes half of the time at most, however many dynos end.
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._next = None
        began = time.monotonic()
        with low_descriptors().one_free():
            taken = Snapshot()
        now = time.monotonic()
        self._not_before = now + (now - began)
        return taken


async def ended(pids: Collection[int], timeout_seconds: float) -> set[int]:
    """Wait until all processes have ended, or the timeout; return those that have ended."""
    waits = [asyncio.ensure_future(_end_of(pid)) for pid in pids]
    done, late = await asyncio.wait(waits, timeout=timeout_seconds)
    for wait in late:
        wait.cancel()
    if errors := [error for wait in done if (error := wait.exception())]:
        raise errors[0]
    return {wait.result() for wait in done}


async def _end_of(pid: int) -> int:
    """Wait for the end of a process, and return its pid."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return pid
    except OSError:  # no descriptor is left
        while _is_running(pid):  # noqa: ASYNC110 - without a descriptor there is no event
            await asyncio.sleep(LOOK_SECONDS)
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


def _is_running(pid: int) -> bool:
    with low_descriptors().one_free():
        return is_running(pid)
