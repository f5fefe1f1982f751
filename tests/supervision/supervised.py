"""What the tests do with a supervisor that runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from hsup.errors import InvalidRelease
from hsup.events import ReleaseReceived
from hsup.model import Fault
from hsup.supervision.policy import RetryPolicy
from hsup.supervision.supervisor import Supervisor
from hsup.testing import EventRecorder, MemorySource

#: Starts a supervisor; returns it, and the task that ends with its exit status.
Supervise = Callable[..., tuple[Supervisor, asyncio.Task[int]]]

FAULTY = InvalidRelease("cannot read new", [Fault("line 1", "no brace")])

#: Asks again at once where hsup asks again after a while.
SOON = RetryPolicy(base_seconds=0.001)


async def end(
    supervisor: Supervisor, running: asyncio.Task[int], number: signal.Signals = signal.SIGTERM
) -> int:
    """Stop a supervisor; return its exit status."""
    supervisor.stop(number)
    return await running


def has_fetched(source: MemorySource, times: int) -> bool:
    """Tell whether a source has been asked for its release so many times."""
    return source.fetches >= times


def received(told: EventRecorder) -> list[int]:
    """Return the versions that were received."""
    return [event.release.version for event in told.of(ReleaseReceived)]
