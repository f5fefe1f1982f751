"""Supervisors of a driver and a source in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hsup.output.logs import LogRouter
from hsup.plugins.calls import Calls
from hsup.plugins.guards import GuardedDriver, GuardedSource
from hsup.supervision.formation import ScaleRequest
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.policy import CrashPolicy
from hsup.supervision.supervisor import Supervisor
from hsup.testing import EventRecorder, MemoryDriver
from tests.supervision.supervised import Supervise

FOLLOWING = ScaleRequest(follows_release=True)


@pytest.fixture
def supervise(
    guarded_source: Callable[[], GuardedSource],
    guarded_driver: Callable[..., GuardedDriver],
    router: LogRouter,
    told: EventRecorder,
    calls: Calls,
) -> Supervise:
    """Return a starter of supervisors: each with its task."""

    def start(
        *,
        services: Sequence[Any] = (),
        asked: ScaleRequest = FOLLOWING,
        other_driver: MemoryDriver | None = None,
        **plan: Any,
    ) -> tuple[Supervisor, asyncio.Task[int]]:
        plan.setdefault("policy", CrashPolicy(base_seconds=10_000, cap_seconds=10_000))
        supervisor = Supervisor(
            SupervisorOptions(source_name="memory", driver_name="fake", asked=asked, **plan),
            source=guarded_source(),
            driver=guarded_driver(other_driver),
            router=router,
            observe=told,
            calls=calls,
        )
        return supervisor, asyncio.create_task(supervisor.run(services))

    return start
