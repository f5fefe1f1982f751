"""Supervisors of a driver and a source in memory."""

from __future__ import annotations

import asyncio

import pytest

from hsup.supervision.formation import Asked
from hsup.supervision.plan import Plan
from hsup.supervision.policy import CrashPolicy
from hsup.supervision.supervisor import Supervisor

FOLLOWING = Asked(follows_release=True)


@pytest.fixture
def supervise(guarded_source, guarded_driver, router, told, calls):
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
