from __future__ import annotations

import signal
import threading
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from hsup.api import OutputPipes
from hsup.errors import DriverError
from hsup.events import ReleaseRejected as RejectedEvent
from hsup.model import DynoSpec, Release
from hsup.supervision.formation import ScaleRequest
from hsup.testing import EventRecorder, MemoryDriver, MemoryDyno, MemorySink, MemorySource
from tests.conftest import TurnUntil
from tests.supervision.supervised import Supervise, end


class SweepingDriver:
    """Finds something that a previous hsup has left behind."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.driver = driver

    def build(self, release: Release) -> None:
        self.driver.build(release)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> MemoryDyno:
        return await self.driver.start(spec, output)

    def sweep(self) -> Sequence[str]:
        return ["2 processes of web.1"]


async def test_leftovers_are_removed_before_anything_is_started(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    source.release(web=1)
    supervisor, running = supervise(other_driver=SweepingDriver(driver), asked=ScaleRequest())
    await told.state("web.1", "up")
    assert (
        sink.said("supervisor")[1] == "Removed a leftover of a previous hsup: 2 processes of web.1"
    )
    await end(supervisor, running)


async def test_a_second_signal_does_not_wait_until_leftovers_are_removed(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    turn_until: TurnUntil,
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    class SlowDriver(SweepingDriver):
        def sweep(self) -> Sequence[str]:
            begun.set()
            may_end.wait()
            return super().sweep()

    source.release(web=1)
    supervisor, running = supervise(other_driver=SlowDriver(driver))
    await turn_until(begun.is_set)
    supervisor.stop(signal.SIGTERM)
    assert await end(supervisor, running) == 128 + signal.SIGTERM
    assert driver.attempts == 0
    may_end.set()


class AdoptingDriver(SweepingDriver):
    """Has dynos of a previous hsup, and keeps those that are wanted."""

    def __init__(self, driver: MemoryDriver, *names: str) -> None:
        super().__init__(driver)
        self.left = list(names)
        self.kept: list[str] = []

    def sweep(self) -> Sequence[str]:
        return []

    def keep_only(self, specs: Collection[DynoSpec]) -> Sequence[str]:
        self.kept = [name for name in self.left if name in {str(one.name) for one in specs}]
        return [f"the container {name}" for name in self.left if name not in self.kept]

    async def adopt(self, spec: DynoSpec, output: OutputPipes) -> MemoryDyno | None:
        if str(spec.name) not in self.kept:
            return None
        self.kept.remove(str(spec.name))
        return await self.driver.start(spec, output)


@pytest.fixture
def supervise_adopting(supervise: Supervise, driver: MemoryDriver) -> Supervise:
    """Return a starter of supervisors whose driver finds dynos of a previous hsup."""
    return lambda *names: supervise(other_driver=AdoptingDriver(driver, *names))


async def test_a_release_whose_dynos_cannot_be_adopted_takes_no_port_of_a_later_one(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hsup.supervision.ports.HIGHEST_PORT", 5000)
    failures = [DriverError("no engine")]

    class FailingOnce(AdoptingDriver):
        def keep_only(self, specs: Any) -> Any:
            if failures:
                raise failures.pop()
            return super().keep_only(specs)

    source.release(version=1, worker=1)
    supervisor, running = supervise(other_driver=FailingOnce(driver), stays=True)
    await told.until(lambda one: one.of(RejectedEvent))
    source.release(version=2, web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_dynos_of_a_dead_hsup_are_taken_over_and_others_started(
    supervise_adopting: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.release(web=2)
    supervisor, running = supervise_adopting("web.1", "worker.1")
    await told.state("web.1", "up")
    await told.state("web.2", "up")
    assert sink.said("web.1")[0] == "Adopted a process left running by a previous hsup"
    assert sink.said("web.2")[0] == "Starting process with command `serve web`"
    assert "Removed a leftover of a previous hsup: the container worker.1" in sink.said(
        "supervisor"
    )
    assert await end(supervisor, running) == 0


async def test_a_dyno_that_was_taken_over_and_ends_is_started_as_any_other(
    supervise_adopting: Supervise, source: MemorySource, driver: MemoryDriver, sink: MemorySink
) -> None:
    source.release(web=1)
    supervisor, running = supervise_adopting("web.1")
    (await driver.dyno("web.1")).end(1)
    await driver.dyno("web.1", nth=2)
    assert sink.said("web.1").count("Starting process with command `serve web`") == 1
    assert await end(supervisor, running) == 0


async def test_a_later_release_takes_nothing_over(
    supervise_adopting: Supervise, source: MemorySource, driver: MemoryDriver, sink: MemorySink
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise_adopting("web.1", "worker.1")
    await driver.dyno("web.1")
    source.release(version=2, web=1, worker=1)
    await driver.dyno("worker.1")
    assert sink.said("worker.1")[0] == "Starting process with command `serve worker`"
    assert await end(supervisor, running) == 0
