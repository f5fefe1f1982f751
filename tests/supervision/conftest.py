"""Supervisors of a driver and a source in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hsup.output.logs import LogRouter
from hsup.plugins.calls import Calls
from hsup.plugins.guards import GuardedDriver, GuardedSource
from hsup.supervision.formation import Asked
from hsup.supervision.plan import Plan
from hsup.supervision.policy import CrashPolicy
from hsup.supervision.supervisor import Supervisor
from hsup.testing import EventRecorder
from tests.supervision.supervised import Supervise

FOLLOWING = Asked(follows_release=True)


@pytest.fixture
def supervise(
    guarded_source: Callable[[], GuardedSource],
    guarded_driver: Callable[..., GuardedDriver],
    router: LogRouter,
    told: EventRecorder,
    calls: Calls,
) -> Supervise:
    """Return a starter of supervisors: each with its task."""

    def start(*, services=(), asked=FOLLOWING, other_driver=None, **plan):
        plan.setdefault("policy", CrashPolicy(base_seconds=10_000, cap_seconds=10_000))
        supervisor = Supervisor(
            Plan(source_name="memory", driver_name="fake", asked=asked, **plan),
            source=guarded_source(),
            driver=guarded_driver(other_driver),
            router=router,
            observe=told,
            calls=calls,
        )
        return supervisor, asyncio.create_task(supervisor.run(services))

    return start
