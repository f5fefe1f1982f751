"""Supervisors of a driver and a source in memory."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hsup.output.logs import LogRouter
from hsup.plugins.calls import Calls
from hsup.plugins.guards import GuardedDriver, GuardedSource
from hsup.supervision import port_reservation
from hsup.supervision.formation import ScaleRequest
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.policy import CrashPolicy
from hsup.supervision.supervisor import Supervisor
from hsup.testing import EventRecorder, MemoryDriver
from tests.supervision.supervised import Supervise

FOLLOWING = ScaleRequest(follows_release=True)
_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _reservations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the reservations of ports apart from those of hsups that run, and of other tests."""
    name = f"{port_reservation.NAME}test-{os.getpid()}-{next(_NUMBERS)}/"
    monkeypatch.setattr(port_reservation, "NAME", name)


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
