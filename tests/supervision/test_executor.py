from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from hsup.api import OutputPipes, RunningDyno
from hsup.errors import DriverError, DynoStartError
from hsup.events import DynoExited, DynoStateChanged, Event
from hsup.lifecycle import State
from hsup.model import DynoSpec, ExitStatus
from hsup.output import messages
from hsup.output.logs import LogRouter
from hsup.supervision.executor import NOT_STARTED, Executor, ExecutorContext
from hsup.supervision.policy import CrashPolicy
from hsup.testing import EventRecorder, MemoryDriver, MemoryDyno, MemorySink, make_spec

NEVER = CrashPolicy(base_seconds=10_000, cap_seconds=10_000)


#: Runs an executor with the given surroundings.
Execute = Callable[..., tuple[Executor, asyncio.Task[None]]]


@pytest.fixture
def execute(
    surround: Callable[..., ExecutorContext],
) -> Execute:
    """Return a starter of executors: each with its task."""

    def start(
        spec: DynoSpec | None = None, *, one_off: bool = False, **surroundings: Any
    ) -> tuple[Executor, asyncio.Task[None]]:
        executor = Executor(spec or make_spec(), surround(**surroundings), one_off=one_off)
        return executor, asyncio.create_task(executor.run())

    return start


async def test_a_dyno_goes_up_and_is_stopped(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    executor, running = execute()
    dyno = await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.stop()
    await running
    assert dyno.signals == [signal.SIGTERM]
    assert dyno.graces == [30.0]
    assert told.states("web.1") == ["provisioning", "starting", "up", "stopping", "stopped"]
    assert executor.status == ExitStatus(signal=signal.SIGTERM)
    assert not executor.was_killed
    assert sink.said("web.1") == [
        "Starting process with command `serve`",
        "Stopping all processes with SIGTERM",
    ]


async def test_what_a_dyno_prints_comes_after_its_start_is_told(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = driver.start

    async def start_and_print(spec: DynoSpec, output: OutputPipes) -> MemoryDyno:
        dyno = await start(spec, output)
        dyno.write(b"first\n")
        for _ in range(100):
            await asyncio.sleep(0)
        assert sink.written() == b""
        return dyno

    monkeypatch.setattr(driver, "start", start_and_print)
    executor, running = execute()
    await sink.until(lambda one: one.written() == b"first\n")
    assert told.states("web.1")[-1] == "up"
    executor.stop()
    await running


async def test_a_dyno_that_crashes_is_started_again_at_once(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    executor, running = execute(policy=NEVER)
    (await driver.dyno("web.1")).end(1)
    await driver.dyno("web.1", nth=2)
    executor.stop()
    await running
    assert told.statuses("web.1")[0] == ExitStatus(code=1)
    assert told.states("web.1")[:5] == ["provisioning", "starting", "up", "crashed", "provisioning"]


async def test_a_dyno_that_ends_well_is_started_again_too(
    execute: Execute, driver: MemoryDriver
) -> None:
    executor, running = execute(policy=NEVER)
    (await driver.dyno("web.1")).end(0)
    await driver.dyno("web.1", nth=2)
    executor.stop()
    await running


async def test_a_dyno_that_crashes_twice_waits(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    executor, running = execute(policy=NEVER)
    (await driver.dyno("web.1")).end(1)
    (await driver.dyno("web.1", nth=2)).end(1)
    await told.state("web.1", "crashed", times=2)
    assert driver.attempts == 2
    executor.stop()
    await running
    assert executor.state is State.STOPPED
    assert driver.attempts == 2


async def test_a_dyno_that_was_up_for_long_is_started_again_at_once(
    execute: Execute, driver: MemoryDriver
) -> None:
    recovers_at_once = CrashPolicy(base_seconds=10_000, stable_seconds=0)
    executor, running = execute(policy=recovers_at_once)
    for nth in range(1, 6):
        (await driver.dyno("web.1", nth)).end(1)
    await driver.dyno("web.1", nth=6)
    executor.stop()
    await running


async def test_a_dyno_that_cannot_be_started_is_tried_again(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    driver.failures = [DynoStartError("no such command: serve", exit_code=127)]
    executor, running = execute(policy=NEVER)
    await driver.dyno("web.1")
    executor.stop()
    await running
    reasons = [event.reason for event in told.of(DynoStateChanged) if event.reason]
    assert reasons == ["no such command: serve"]
    assert sink.written() == b""


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (DynoStartError("cannot mount /proc"), "R99"),
        (DriverError("engine away"), "R99"),
        (DynoStartError("no such command", exit_code=127), None),
        (DynoStartError("not executable", exit_code=126), None),
    ],
    ids=str,
)
async def test_the_platform_is_at_fault_for_what_is_no_mistake_in_the_command(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    failure: DriverError,
    code: str | None,
) -> None:
    driver.failures = [failure]
    executor, running = execute(policy=NEVER)
    await driver.dyno("web.1")
    executor.stop()
    await running
    failed, *others = told.of(DynoStateChanged)[2:]
    assert (failed.reason, failed.code) == (str(failure), code)
    assert {(one.reason, one.code) for one in others} == {("", None)}


async def test_a_start_that_fails_backs_off_as_a_crash_does(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.failures = [DynoStartError("no"), DynoStartError("no")]
    executor, running = execute(policy=NEVER)
    await told.state("web.1", "crashed", times=2)
    await asyncio.sleep(0)
    assert driver.attempts == 2
    assert executor.status == NOT_STARTED
    executor.stop()
    await running
    assert told.of(DynoExited) == []


async def test_a_dyno_that_starts_after_all_has_its_own_status(
    execute: Execute, driver: MemoryDriver
) -> None:
    driver.failures = [DynoStartError("no")]
    executor, running = execute(policy=NEVER)
    await driver.dyno("web.1")
    executor.stop()
    await running
    assert executor.status == ExitStatus(signal=signal.SIGTERM)


async def test_a_driver_that_raises_anything_fails_only_to_start(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.failures = [ValueError("a stranger's mistake")]
    executor, running = execute()
    await driver.dyno("web.1")
    executor.stop()
    await running
    assert told.states("web.1").count("crashed") == 1
    reasons = [event.reason for event in told.of(DynoStateChanged) if event.reason]
    prefix = 'driver "fake" of hsup-driver-fake 1.2.3 failed to start web.1: '
    assert reasons == [f"{prefix}ValueError: a stranger's mistake"]


async def test_a_driver_that_closes_what_a_dyno_writes_to_loses_no_dyno(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = driver.start

    async def start_and_close(spec: DynoSpec, output: OutputPipes) -> RunningDyno:
        dyno = await start(spec, output)
        os.close(output.stdout)
        return dyno

    monkeypatch.setattr(driver, "start", start_and_close)
    executor, running = execute()
    (await driver.dyno("web.1")).write(b"written\n")
    await told.state("web.1", "up")
    executor.stop()
    await running
    assert told.states("web.1") == ["provisioning", "starting", "up", "stopping", "stopped"]


async def test_a_dyno_that_waits_to_be_restarted_can_be_stopped(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.failures = [DynoStartError("no"), DynoStartError("no")]
    executor, running = execute(policy=NEVER)
    await told.state("web.1", "crashed", times=2)
    executor.stop()
    await running
    assert told.states("web.1")[-2:] == ["crashed", "stopped"]


async def test_a_dyno_that_waits_to_be_restarted_is_forgiven(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.failures = [DynoStartError("no"), DynoStartError("no")]
    executor, running = execute(policy=NEVER)
    await told.state("web.1", "crashed", times=2)
    executor.forgive()
    dyno = await driver.dyno("web.1")
    dyno.end(1)  # counts as the first crash
    await driver.dyno("web.1", nth=2)
    executor.stop()
    await running


async def test_to_forgive_a_dyno_that_is_up_disturbs_it_in_nothing(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    executor, running = execute()
    dyno = await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.forgive()
    await asyncio.sleep(0)
    assert not dyno.has_ended
    executor.stop()
    await running


async def test_a_dyno_is_restarted_with_another_spec(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    executor, running = execute()
    first = await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.restart(make_spec(command="serve better"))
    second = await driver.dyno("web.1", nth=2)
    assert first.signals == [signal.SIGTERM]
    assert str(second.spec.command) == "serve better"
    executor.stop()
    await running
    assert told.states("web.1")[2:6] == ["up", "restarting", "provisioning", "starting"]


async def test_a_restart_while_a_dyno_starts_is_done_when_it_has_started(
    execute: Execute, driver: MemoryDriver
) -> None:
    driver.may_start.clear()
    executor, running = execute()
    await driver.attempted(1)
    executor.restart(make_spec(command="serve better"))
    driver.may_start.set()
    second = await driver.dyno("web.1", nth=2)
    assert str(second.spec.command) == "serve better"
    executor.stop()
    await running


async def test_a_stop_while_a_dyno_starts_is_done_when_it_has_started(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.may_start.clear()
    executor, running = execute()
    await driver.attempted(1)
    executor.stop()
    assert executor.is_leaving
    driver.may_start.set()
    await running
    assert (await driver.dyno("web.1")).has_ended
    assert told.states("web.1")[-3:] == ["up", "stopping", "stopped"]


async def test_a_stop_while_a_start_fails_is_not_forgotten(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.may_start.clear()
    driver.failures = [DynoStartError("no")]
    executor, running = execute()
    await driver.attempted(1)
    executor.stop()
    driver.may_start.set()
    await running
    assert told.states("web.1")[-2:] == ["crashed", "stopped"]


async def test_a_stop_before_anything_happened_starts_nothing(
    execute: Execute, driver: MemoryDriver
) -> None:
    executor, running = execute()
    executor.stop()
    await running
    assert driver.attempts == 0
    assert executor.state is State.STOPPED


@pytest.mark.parametrize("turns", range(5))
async def test_a_stop_at_the_moment_of_a_crash_is_not_forgotten(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    turns: int,
) -> None:
    executor, running = execute()
    dyno = await driver.dyno("web.1")
    await told.state("web.1", "up")
    dyno.end(1)
    for _ in range(turns):
        await asyncio.sleep(0)
    executor.stop()
    await running
    assert executor.state is State.STOPPED


async def test_a_restart_while_a_dyno_stops_brings_nothing_back(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.obeys = False
    executor, running = execute()
    dyno = await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.stop()
    await told.state("web.1", "stopping")
    executor.restart(make_spec(command="serve better"))
    dyno.end(0)
    await running
    assert executor.state is State.STOPPED
    assert driver.attempts == 1


async def test_a_stop_while_a_dyno_is_being_restarted_wins(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.obeys = False
    executor, running = execute()
    dyno = await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.restart(make_spec(command="serve better"))
    await told.state("web.1", "restarting")
    executor.stop()
    assert executor.is_leaving
    dyno.end(0)
    await running
    assert told.states("web.1")[-3:] == ["restarting", "stopping", "stopped"]
    assert driver.attempts == 1


async def test_to_stop_outweighs_to_restart(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    executor, running = execute()
    await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.stop()
    executor.restart(make_spec(command="serve better"))
    await running
    assert driver.attempts == 1


async def test_a_dyno_that_ignores_sigterm_is_killed_after_its_grace(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    driver.obeys = False
    executor, running = execute(grace_seconds=0.001)
    await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.stop()
    await running
    assert executor.was_killed
    assert executor.status == ExitStatus(signal=signal.SIGKILL)
    assert sink.said("web.1")[1:] == [
        "Stopping all processes with SIGTERM",
        messages.exit_timeout(0.001).text,
        "Stopping remaining processes with SIGKILL",
    ]


async def test_a_dyno_that_is_stopping_can_be_killed(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.obeys = False
    executor, running = execute(grace_seconds=10_000)
    dyno = await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.stop()
    await told.state("web.1", "stopping")
    await asyncio.gather(executor.kill(), running)
    assert executor.was_killed
    assert dyno.has_ended


async def test_killing_a_dyno_that_starts_gives_it_no_grace(
    execute: Execute, driver: MemoryDriver
) -> None:
    driver.may_start.clear()
    driver.obeys = False
    executor, running = execute(grace_seconds=10_000)
    await driver.attempted(1)
    await executor.kill()
    driver.may_start.set()
    await running
    assert (await driver.dyno("web.1")).graces == [0.0]


async def test_killing_a_dyno_that_waits_to_be_restarted_stops_it(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    driver.failures = [DynoStartError("no"), DynoStartError("no")]
    executor, running = execute(policy=NEVER)
    await told.state("web.1", "crashed", times=2)
    await asyncio.gather(executor.kill(), running)
    assert executor.state is State.STOPPED
    assert not executor.was_killed


async def test_a_one_off_completes(execute: Execute, driver: MemoryDriver) -> None:
    executor, running = execute(one_off=True)
    (await driver.dyno("web.1")).end(3)
    await running
    assert executor.state is State.COMPLETE
    assert executor.status == ExitStatus(code=3)
    assert driver.attempts == 1


async def test_a_one_off_that_cannot_be_started_is_complete_with_255(
    execute: Execute, driver: MemoryDriver
) -> None:
    driver.failures = [DynoStartError("no")]
    executor, running = execute(one_off=True)
    await running
    assert executor.state is State.COMPLETE
    assert executor.status == ExitStatus(code=255)


async def test_a_one_off_can_be_stopped(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
) -> None:
    executor, running = execute(one_off=True)
    await driver.dyno("web.1")
    await told.state("web.1", "up")
    executor.stop()
    await running
    assert executor.state is State.STOPPED


async def test_what_a_dyno_wrote_is_passed_on_before_its_exit_is_told(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    seen = []

    def observe(event: Event) -> None:
        told(event)
        if isinstance(event, DynoExited):
            seen.append(sink.written(dyno="web.1"))

    _, running = execute(one_off=True, tell=observe)
    dyno = await driver.dyno("web.1")
    dyno.write(b"x" * 60_000 + b"\nlast words")
    dyno.end(1)
    await running
    assert seen == [b"x" * 60_000 + b"\nlast words"]


async def test_everything_of_a_dyno_is_removed_before_it_is_started_again(
    execute: Execute, driver: MemoryDriver
) -> None:
    executor, running = execute()
    first = await driver.dyno("web.1")
    first.end(1)
    await driver.dyno("web.1", nth=2)
    assert first.graces == [0.0]
    executor.stop()
    await running


async def crashed_while_nobody_reads(
    execute: Execute,
    driver: MemoryDriver,
    sink: MemorySink,
    router: LogRouter,
) -> tuple[Executor, asyncio.Task[None]]:
    executor, running = execute()
    dyno = await driver.dyno("web.1")
    sink.room.clear()
    router.say("web.1", "full now")
    dyno.write(b"last words")
    dyno.end(1)
    return executor, running


async def test_nothing_is_started_while_nobody_reads(
    execute: Execute,
    driver: MemoryDriver,
    sink: MemorySink,
    router: LogRouter,
) -> None:
    executor, running = await crashed_while_nobody_reads(execute, driver, sink, router)
    for _ in range(20):
        await asyncio.sleep(0)
    assert driver.attempts == 1
    assert sink.written() == b""
    sink.room.set()
    await driver.dyno("web.1", nth=2)
    assert sink.written() == b"last words"
    executor.stop()
    await running


async def test_a_dyno_that_crashed_while_nobody_reads_can_be_stopped(
    execute: Execute,
    driver: MemoryDriver,
    sink: MemorySink,
    router: LogRouter,
) -> None:
    executor, running = await crashed_while_nobody_reads(execute, driver, sink, router)
    await asyncio.sleep(0)
    executor.stop()
    await running
    assert executor.state is State.STOPPED
    assert sink.written() == b"last words"
    sink.room.set()


async def test_a_dyno_that_is_to_be_started_while_nobody_reads_can_be_stopped(
    execute: Execute,
    driver: MemoryDriver,
    sink: MemorySink,
    router: LogRouter,
) -> None:
    sink.room.clear()
    router.say("web.1", "full now")
    executor, running = execute()
    for _ in range(20):
        await asyncio.sleep(0)
    executor.stop()
    await running
    assert driver.attempts == 0
    sink.room.set()


async def test_a_reader_that_comes_back_does_not_shorten_the_back_off(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
    router: LogRouter,
) -> None:
    executor, running = execute(policy=NEVER)
    (await driver.dyno("web.1")).end(1)
    second = await driver.dyno("web.1", nth=2)
    sink.room.clear()
    router.say("web.1", "full now")
    second.end(1)
    await asyncio.sleep(0)
    sink.room.set()
    await told.state("web.1", "crashed", times=2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert driver.attempts == 2
    executor.stop()
    await running


async def test_of_a_command_that_went_into_the_background_that_is_said_once(
    execute: Execute, driver: MemoryDriver, sink: MemorySink
) -> None:
    executor, running = execute()
    for nth in (1, 2):
        dyno = await driver.dyno("web.1", nth=nth)
        dyno.leaves_processes = True
        dyno.end(0)
    await driver.dyno("web.1", nth=3)
    executor.stop()
    await running
    assert len([line for line in sink.said("web.1") if "moved to the background" in line]) == 1


async def test_of_a_one_off_that_went_into_the_background_that_is_said(
    execute: Execute, driver: MemoryDriver, sink: MemorySink
) -> None:
    _, running = execute(one_off=True)
    dyno = await driver.dyno("web.1")
    dyno.leaves_processes = True
    dyno.end(0)
    await running
    assert any("moved to the background" in line for line in sink.said("web.1"))


@pytest.mark.parametrize(
    ("code", "one_off", "is_said"), [(0, False, True), (3, False, False), (0, True, False)]
)
async def test_a_command_that_ends_at_once_without_an_error_is_worth_a_notice(
    execute: Execute,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
    *,
    code: int,
    one_off: bool,
    is_said: bool,
) -> None:
    executor, running = execute(policy=NEVER, one_off=one_off)
    (await driver.dyno("web.1")).end(code)
    await told.state("web.1", "complete" if one_off else "crashed")
    executor.stop()
    await running
    assert any("ended within a second" in line for line in sink.said("web.1")) is is_said
