from __future__ import annotations

import signal

import pytest

from hsup.errors import DynoStartError, UsageError
from hsup.events import ReleaseReceived
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource
from tests.supervision.supervised import Supervise, end, received


async def test_a_release_phase_that_had_to_be_killed_is_told_by_the_exit_status(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.obeys = False
    source.release(web=1, release=1)
    supervisor, running = supervise(grace_seconds=0.001)
    await told.until(lambda one: any("up" in one.states(name) for name in driver.started))
    assert await end(supervisor, running) == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
async def test_the_exit_status_tells_what_hsup_was_stopped_by(
    supervise: Supervise,
    source: MemorySource,
    told: EventRecorder,
    number: signal.Signals,
    status: int,
) -> None:
    source.release(web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert await end(supervisor, running, number) == status


async def test_a_dyno_that_had_to_be_killed_makes_the_status_1(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.obeys = False
    source.release(web=1)
    supervisor, running = supervise(grace_seconds=0.001)
    await told.state("web.1", "up")
    assert await end(supervisor, running) == 1


async def test_a_second_signal_waits_for_nobody(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.obeys = False
    source.release(web=1, worker=1)
    supervisor, running = supervise(grace_seconds=10_000)
    await told.state("web.1", "up")
    await told.state("worker.1", "up")
    supervisor.stop(signal.SIGTERM)
    await told.state("web.1", "stopping")
    supervisor.stop(signal.SIGINT)
    assert await running == 130


async def test_a_formation_of_none_is_waited_with_where_it_may_change(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.release(web=0)
    supervisor, running = supervise(follows_formation=True)
    await told.until(lambda one: one.of(ReleaseReceived))
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_a_stop_before_there_is_a_release_ends_hsup(
    supervise: Supervise, sink: MemorySink
) -> None:
    supervisor, running = supervise()
    await sink.until(lambda one: "There is no release yet, waiting for one" in one.said())
    assert await end(supervisor, running) == 0


async def test_one_shot_ends_with_the_highest_status(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    driver.statuses = {"web": 0, "worker": 4, "clock": 2}
    source.release(web=1, worker=1, clock=1)
    _, running = supervise(one_shot=True)
    assert await running == 4
    assert driver.attempts == 3


async def test_one_shot_that_was_stopped_ends_as_what_ended_by_itself(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.statuses = {"clock": 3}
    source.release(web=1, clock=1)
    supervisor, running = supervise(one_shot=True)
    dyno = await driver.dyno("web.1")
    await told.state("clock.1", "complete")
    assert await end(supervisor, running) == 3
    assert dyno.signals == [signal.SIGTERM]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_one_shot_that_was_stopped_ends_as_any_other(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    number: signal.Signals,
    status: int,
) -> None:
    source.release(web=1)
    supervisor, running = supervise(one_shot=True)
    await driver.dyno("web.1")
    supervisor.stop(number)
    assert await running == status


async def test_one_shot_ends_with_255_for_what_could_not_be_started(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    driver.failures = [DynoStartError("no such command")]
    source.release(web=1)
    _, running = supervise(one_shot=True)
    assert await running == 255


async def test_one_shot_runs_no_second_release(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    _, running = supervise(one_shot=True)
    dyno = await driver.dyno("web.1")
    source.release(version=2, web=1, worker=1)
    await told.state("web.1", "up")
    dyno.end(0)
    assert await running == 0
    assert received(told) == [1]


async def test_hsup_ends_when_nothing_is_left_to_run(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.release(version=1, web=1)
    _, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, web=0)
    assert await running == 0
    assert sink.said("supervisor")[-1] == "Nothing is left to run"


async def test_hsup_that_stays_waits_when_nothing_is_left_to_run(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.release(version=1, web=0)
    supervisor, running = supervise(stays=True)
    await told.until(lambda one: one.of(ReleaseReceived))
    source.release(version=2, web=1)
    await told.state("web.1", "up")
    assert await end(supervisor, running) == 0


async def test_all_dynos_end_when_one_does_and_hsup_has_its_status(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, sink: MemorySink
) -> None:
    source.release(web=1, worker=1)
    _, running = supervise(aborts_on_exit=True)
    web, worker = await driver.dyno("web.1"), await driver.dyno("worker.1")
    web.end(3)
    assert await running == 3
    assert worker.signals == [signal.SIGTERM]
    assert "Stopping all dynos: web.1 exited with status 3" in sink.said()


async def test_a_dyno_that_ends_without_an_error_ends_all_others_too(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.release(web=1, worker=1)
    _, running = supervise(aborts_on_exit=True)
    await driver.dyno("worker.1")
    (await driver.dyno("web.1")).end(0)
    assert await running == 0


async def test_a_dyno_that_cannot_be_started_ends_all_others_too(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, sink: MemorySink
) -> None:
    source.release(web=1)
    driver.failures.append(DynoStartError("no"))
    _, running = supervise(aborts_on_exit=True)
    assert await running == 255
    assert "Stopping all dynos: web.1 could not be started" in sink.said()


async def test_the_status_may_be_that_of_another_type_than_ended_first(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.release(web=1, worker=1)
    _, running = supervise(aborts_on_exit=True, status_from="worker")
    await driver.dyno("worker.1")
    (await driver.dyno("web.1")).end(3)
    assert await running == 128 + signal.SIGTERM


async def test_a_signal_is_told_by_the_status_whatever_dynos_end_with(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.release(web=1)
    supervisor, running = supervise(aborts_on_exit=True)
    await told.state("web.1", "up")
    assert await end(supervisor, running) == 0


@pytest.mark.parametrize("name", ["worker", "wroker"])
async def test_a_type_whose_status_is_asked_for_must_be_started(
    supervise: Supervise, source: MemorySource, name: str
) -> None:
    source.release(web=1, worker=0)
    _, running = supervise(aborts_on_exit=True, status_from=name)
    told = f'no dyno of process type "{name}" is started; choose from web'
    with pytest.raises(UsageError, match=told):
        await running


async def test_a_new_release_is_no_end(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.release(version=1, web=1)
    _, running = supervise(aborts_on_exit=True)
    await driver.dyno("web.1")
    source.release(version=2, web=1, config={"A": "B"})
    (await driver.dyno("web.1", nth=2)).end(4)
    assert await running == 4


async def test_dynos_that_a_release_has_taken_away_are_no_end(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=2, worker=1)
    _, running = supervise(aborts_on_exit=True)
    worker = await driver.dyno("worker.1")
    await told.state("web.2", "up")
    source.release(version=2, web=1, worker=1)
    await told.state("web.2", "stopped")
    worker.end(1)
    assert await running == 1


async def test_a_type_that_could_not_start_before_the_end_has_no_success(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.release(worker=1, test=1)
    driver.failures.append(DynoStartError("no"))
    driver.may_start.clear()
    _, running = supervise(aborts_on_exit=True, status_from="test")
    driver.may_start.set()
    assert await running != 0
