"""Look for processes, and wait for their end, on an event loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection

from hsup_driver_simple.descriptors import low_descriptors
from hsup_driver_simple.mark import is_running
from hsup_driver_simple.processes import LOOK_SECONDS, Snapshot


class ProcessScanner:
    """Looks through all processes, once for all dynos that ask at the same time."""

    def __init__(self) -> None:
        self._next: asyncio.Task[Snapshot] | None = None
        self._not_before = 0.0

    async def snapshot(self) -> Snapshot:
        """Return the processes as of a moment after this call."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._take())
        return await asyncio.shield(self._next)

    async def _take(self) -> Snapshot:
        # At most every other moment goes into looking, however many dynos end.
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._next = None
        began = time.monotonic()
        with low_descriptors().one_free():
            taken = Snapshot()
        now = time.monotonic()
        self._not_before = now + (now - began)
        return taken


async def ended(pids: Collection[int], timeout_seconds: float) -> set[int]:
    """Return which processes have ended, when all have or the time is over."""
    waits = [asyncio.ensure_future(_end_of(pid)) for pid in pids]
    done, late = await asyncio.wait(waits, timeout=timeout_seconds)
    for one in late:
        one.cancel()
    if failed := [error for one in done if (error := one.exception())]:
        raise failed[0]
    return {one.result() for one in done}


async def _end_of(pid: int) -> int:
    """Return the pid when its process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return pid
    except OSError:  # no descriptor is left
        while _is_running(pid):  # noqa: ASYNC110 - nothing else would tell
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
