from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest

from hsup.errors import DynoStartError
from hsup.model import DynoName, DynoSpec, ExitStatus
from hsup.supervision.executor import ExecutorContext
from hsup.supervision.fleet import Fleet
from hsup.supervision.policy import CrashPolicy
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, make_spec
from tests.conftest import TurnUntil


@pytest.fixture
def gone() -> list[str]:
    return []


#: Makes the specs of dynos that run one command.
MakeSpecs = Callable[..., dict[DynoName, DynoSpec]]


@pytest.fixture
def ends() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def make_fleet(
    surround: Callable[..., ExecutorContext], gone: list[str], ends: list[tuple[str, int]]
) -> Callable[..., Fleet]:
    """Return a maker of fleets that note whoever is gone, and whoever ended by itself."""

    def make(*, one_shot: bool = False, **surroundings: Any) -> Fleet:
        return Fleet(
            surround(**surroundings),
            one_shot=one_shot,
            on_gone=lambda name: gone.append(str(name)),
            on_end=lambda name, status: ends.append((str(name), status.status)),
        )

    return make


@pytest.fixture
def specs() -> MakeSpecs:
    """Return a maker of what is wanted: `specs("web.1", "web.2")`."""

    def make(*names: str, command: str = "serve") -> dict[DynoName, DynoSpec]:
        made = (make_spec(name, command=command) for name in names)
        return {spec.name: spec for spec in made}

    return make


async def test_what_is_wanted_is_started(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    told: EventRecorder,
) -> None:
    fleet = make_fleet()
    fleet.want(specs("web.1", "worker.1"))
    await told.state("web.1", "up")
    await told.state("worker.1", "up")
    assert fleet.states() == {"web.1": "up", "worker.1": "up"}
    await fleet.stop()
    assert fleet.states() == {}


async def test_what_runs_is_what_was_started_and_has_not_ended(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.failures = [DynoStartError("no"), DynoStartError("no")]
    fleet = make_fleet(policy=CrashPolicy(base_seconds=10_000, cap_seconds=10_000))
    fleet.want(specs("crashing.1"))
    await told.state("crashing.1", "crashed", times=2)
    one_off = asyncio.create_task(fleet.run_one(make_spec("release.4711")))
    await told.state("release.4711", "up")
    assert fleet.running() == ["release.4711"]
    (await driver.dyno("release.4711")).end(0)
    await one_off
    assert fleet.running() == []
    await fleet.stop()


async def test_a_fleet_is_idle_when_it_has_no_dyno(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
) -> None:
    fleet = make_fleet()
    await fleet.idle()
    fleet.want(specs("web.1"))
    idle = asyncio.create_task(fleet.idle())
    await driver.dyno("web.1")
    assert not idle.done()
    await fleet.stop()
    await idle


async def test_to_want_the_same_again_changes_nothing(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    fleet = make_fleet()
    fleet.want(specs("web.1"))
    await told.state("web.1", "up")
    fleet.want(specs("web.1"))
    await asyncio.sleep(0)
    assert driver.attempts == 1
    await fleet.stop()


async def test_what_changed_is_replaced_and_nothing_else(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    fleet = make_fleet()
    fleet.want(specs("web.1", "web.2"))
    untouched = await driver.dyno("web.1")
    await told.state("web.2", "up")
    fleet.want(specs("web.1") | specs("web.2", command="serve better"))
    replaced = await driver.dyno("web.2", nth=2)
    assert str(replaced.spec.command) == "serve better"
    assert untouched.signals == []
    await fleet.stop()


async def test_what_is_not_wanted_any_more_is_stopped(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    told: EventRecorder,
    gone: list[str],
    turn_until: TurnUntil,
) -> None:
    fleet = make_fleet()
    fleet.want(specs("web.1", "web.2", "web.3"))
    for name in ("web.1", "web.2", "web.3"):
        await told.state(name, "up")
    fleet.want(specs("web.1"))
    await turn_until(lambda: fleet.states() == {"web.1": "up"})
    assert gone == ["web.3", "web.2"]
    await fleet.stop()


async def test_a_dyno_that_is_wanted_again_while_it_leaves_comes_back(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
    gone: list[str],
) -> None:
    driver.obeys = False
    fleet = make_fleet()
    fleet.want(specs("web.1"))
    leaving = await driver.dyno("web.1")
    await told.state("web.1", "up")
    fleet.want({})
    await told.state("web.1", "stopping")
    fleet.want(specs("web.1", command="serve better"))
    driver.obeys = True
    leaving.end(0)
    back = await driver.dyno("web.1", nth=2)
    assert str(back.spec.command) == "serve better"
    assert gone == []
    await fleet.stop()


async def test_a_dyno_that_crashed_is_started_at_once_for_a_new_release(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.failures = [DynoStartError("no"), DynoStartError("no")]
    fleet = make_fleet(policy=CrashPolicy(base_seconds=10_000, cap_seconds=10_000))
    fleet.want(specs("web.1"))
    await told.state("web.1", "crashed", times=2)
    fleet.want(specs("web.1"))
    await driver.dyno("web.1")
    await fleet.stop()


async def test_dynos_are_stopped_in_parallel(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.obeys = False
    fleet = make_fleet()
    fleet.want(specs("web.1", "web.2"))
    dynos = [await driver.dyno(name) for name in ("web.1", "web.2")]
    for name in ("web.1", "web.2"):
        await told.state(name, "up")
    stopping = asyncio.create_task(fleet.stop())
    for name in ("web.1", "web.2"):
        await told.state(name, "stopping")
    await asyncio.sleep(0)
    assert [dyno.signals for dyno in dynos] == [[signal.SIGTERM]] * 2
    for dyno in dynos:
        dyno.end(0)
    await stopping
    assert not fleet.was_killed


async def test_a_stop_that_takes_too_long_can_be_cut_short(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.obeys = False
    fleet = make_fleet(grace_seconds=10_000)
    fleet.want(specs("web.1", "web.2"))
    await told.state("web.1", "up")
    await told.state("web.2", "up")
    stopping = asyncio.create_task(fleet.stop())
    await told.state("web.1", "stopping")
    fleet.kill()
    await stopping
    assert fleet.was_killed


async def test_stopping_an_empty_fleet_returns_at_once(make_fleet: Callable[..., Fleet]) -> None:
    await make_fleet().stop()


async def test_a_crash_at_the_moment_of_a_stop_brings_nothing_back(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    fleet = make_fleet()
    fleet.want(specs("web.1"))
    dyno = await driver.dyno("web.1")
    await told.state("web.1", "up")
    dyno.end(1)
    await fleet.stop()
    assert fleet.states() == {}


async def test_in_one_shot_a_dyno_that_ended_is_gone(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    gone: list[str],
) -> None:
    driver.statuses = {"web": 3, "worker": 1}
    fleet = make_fleet(one_shot=True)
    fleet.want(specs("web.1", "worker.1"))
    await fleet.idle()
    assert fleet.highest_status == 3
    assert sorted(gone) == ["web.1", "worker.1"]
    assert driver.attempts == 2
    await fleet.stop()


async def test_in_one_shot_a_dyno_that_was_killed_counts_as_a_shell_has_it(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
) -> None:
    fleet = make_fleet(one_shot=True)
    fleet.want(specs("web.1"))
    (await driver.dyno("web.1")).end(number=signal.SIGSEGV)
    await fleet.idle()
    assert fleet.highest_status == 139


async def test_in_one_shot_a_dyno_that_could_not_be_started_counts_as_255(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
) -> None:
    driver.failures = [DynoStartError("no")]
    fleet = make_fleet(one_shot=True)
    fleet.want(specs("web.1"))
    await fleet.idle()
    assert fleet.highest_status == 255


async def test_a_dyno_besides_runs_to_its_end(
    make_fleet: Callable[..., Fleet], driver: MemoryDriver, gone: list[str]
) -> None:
    fleet = make_fleet()
    running = asyncio.create_task(fleet.run_one(make_spec("release.4711")))
    (await driver.dyno("release.4711")).end(7)
    assert await running == ExitStatus(code=7)
    assert fleet.states() == {}
    assert gone == []


async def test_a_dyno_besides_is_stopped_when_nobody_waits_for_it(
    make_fleet: Callable[..., Fleet], driver: MemoryDriver, told: EventRecorder
) -> None:
    fleet = make_fleet()
    running = asyncio.create_task(fleet.run_one(make_spec("release.4711")))
    dyno = await driver.dyno("release.4711")
    await told.state("release.4711", "up")
    running.cancel()
    await told.state("release.4711", "stopped")
    await fleet.stop()
    assert dyno.signals == [signal.SIGTERM]
    assert running.cancelled()


async def test_a_dyno_besides_is_stopped_with_the_rest(
    make_fleet: Callable[..., Fleet], told: EventRecorder
) -> None:
    fleet = make_fleet()
    running = asyncio.create_task(fleet.run_one(make_spec("release.4711")))
    await told.state("release.4711", "up")
    await fleet.stop()
    assert await running == ExitStatus(signal=signal.SIGTERM)


async def test_a_driver_that_cannot_signal_has_its_dyno_destroyed_all_the_same(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    sink: MemorySink,
    turn_until: TurnUntil,
) -> None:
    fleet = make_fleet(grace_seconds=0)
    fleet.want(specs("web.1", "worker.1"))
    await turn_until(lambda: fleet.states() == {"web.1": "up", "worker.1": "up"})
    faulty = await driver.dyno("web.1")
    faulty.signal_fault = ValueError("a stranger's mistake")
    fleet.want(specs("worker.1"))
    await turn_until(lambda: fleet.states() == {"worker.1": "up"})
    assert faulty.has_ended
    assert (
        'Error: driver "fake" of hsup-driver-fake 1.2.3 failed to signal web.1: '
        "ValueError: a stranger's mistake"
    ) in sink.said("web.1")
    await fleet.stop()


async def test_a_driver_that_cannot_destroy_loses_one_dyno_and_no_other(
    make_fleet: Callable[..., Fleet],
    specs: MakeSpecs,
    driver: MemoryDriver,
    caplog: pytest.LogCaptureFixture,
    turn_until: TurnUntil,
) -> None:
    fleet = make_fleet()
    fleet.want(specs("web.1", "worker.1"))
    await turn_until(lambda: fleet.states() == {"web.1": "up", "worker.1": "up"})
    faulty = await driver.dyno("web.1")
    faulty.destroy_fault = ValueError("a stranger's mistake")
    fleet.want(specs("worker.1"))
    await turn_until(lambda: fleet.states() == {"worker.1": "up"})
    assert "gave up on web.1; other dynos keep running: " in caplog.text
    assert "failed to destroy web.1: ValueError: a stranger's mistake" in caplog.text
    faulty.end(0)
    await fleet.stop()
