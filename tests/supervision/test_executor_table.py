"""Every row of the table of `hsup.lifecycle` is one that an executor can come to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hsup.errors import DynoStartError
from hsup.lifecycle import TABLE, Input, State, step
from hsup.supervision import executor as executor_module
from hsup.supervision.executor import Executor, ExecutorContext
from hsup.supervision.policy import CrashPolicy
from hsup.testing import EventRecorder, MemoryDriver, MemoryDyno, make_spec

NEVER = CrashPolicy(base_seconds=10_000, cap_seconds=10_000)
AT_ONCE = CrashPolicy(base_seconds=0)


class Life:
    """A dyno that is led through its life, until it is stopped for good."""

    def __init__(self, executor: Executor, driver: MemoryDriver, told: EventRecorder) -> None:
        self.executor = executor
        self.driver = driver
        self._told = told

    async def reach(self, state: State, times: int = 1) -> None:
        await self._told.state("web.1", state.value, times)

    async def start(self) -> MemoryDyno:
        return await self.driver.dyno("web.1")

    async def crash_twice(self) -> None:
        """End with a dyno that waits to be started again."""
        for nth in (1, 2):
            (await self.driver.dyno("web.1", nth)).end(1)
        await self.reach(State.CRASHED, times=2)

    def restart(self) -> None:
        self.executor.restart(self.executor.spec)


async def start(life: Life) -> None:
    await life.start()


async def stop_while_it_is_provisioned(life: Life) -> None:
    life.executor.stop()


async def fail_to_start(life: Life) -> None:
    life.driver.failures = [DynoStartError("no such command")]
    await life.reach(State.CRASHED)


async def end_by_itself(life: Life) -> None:
    (await life.start()).end(1)
    await life.reach(State.CRASHED)


async def restart_while_it_is_up(life: Life) -> None:
    await life.reach(State.UP)
    life.restart()
    await life.reach(State.UP, times=2)


async def stop_while_it_is_up(life: Life) -> None:
    await life.reach(State.UP)
    life.executor.stop()


async def stop_while_it_is_restarted(life: Life) -> None:
    life.driver.obeys = False
    dyno = await life.start()
    await life.reach(State.UP)
    life.restart()
    await life.reach(State.RESTARTING)
    life.executor.stop()
    dyno.end(0)


async def wait_for_the_restart_delay(life: Life) -> None:
    (await life.start()).end(1)
    await life.reach(State.UP, times=2)


async def restart_while_it_waits(life: Life) -> None:
    await life.crash_twice()
    life.restart()
    await life.driver.dyno("web.1", 3)


async def stop_while_it_waits(life: Life) -> None:
    await life.crash_twice()
    life.executor.stop()


WAYS = {
    (State.NEW, Input.START): start,
    (State.PROVISIONING, Input.PROVISIONED): start,
    (State.PROVISIONING, Input.STOP): stop_while_it_is_provisioned,
    (State.STARTING, Input.STARTED): start,
    (State.STARTING, Input.START_FAILED): fail_to_start,
    (State.UP, Input.EXITED): end_by_itself,
    (State.UP, Input.RESTART): restart_while_it_is_up,
    (State.UP, Input.STOP): stop_while_it_is_up,
    (State.RESTARTING, Input.EXITED): restart_while_it_is_up,
    (State.RESTARTING, Input.STOP): stop_while_it_is_restarted,
    (State.STOPPING, Input.EXITED): stop_while_it_is_up,
    (State.CRASHED, Input.BACK_OFF_OVER): wait_for_the_restart_delay,
    (State.CRASHED, Input.RESTART): restart_while_it_waits,
    (State.CRASHED, Input.STOP): stop_while_it_waits,
}


def told_of(value: Any) -> str:
    return "-".join(one.value for one in value) if isinstance(value, tuple) else value.__name__


@pytest.fixture
def lead(
    surround: Callable[..., ExecutorContext], driver: MemoryDriver, told: EventRecorder
) -> Callable[[Callable[[Life], Awaitable[None]]], Awaitable[State]]:
    """Return what leads a dyno through its life, and to its end."""

    async def lead(way: Callable[[Life], Awaitable[None]]) -> State:
        policy = AT_ONCE if way is wait_for_the_restart_delay else NEVER
        executor = Executor(make_spec(), surround(policy=policy))
        running = asyncio.create_task(executor.run())
        await way(Life(executor, driver, told))
        executor.stop()
        await running
        return executor.state

    return lead


def test_each_row_has_a_way_to_it() -> None:
    assert set(WAYS) == set(TABLE)


@pytest.mark.parametrize(("cell", "way"), WAYS.items(), ids=told_of)
async def test_an_executor_comes_to_each_row(
    cell: tuple[State, Input],
    way: Callable[..., Any],
    lead: Callable[[Callable[[Life], Awaitable[None]]], Awaitable[State]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []

    def take(*given: Any, one_off: bool = False) -> Any:
        taken.append(given)
        return step(*given, one_off=one_off)

    monkeypatch.setattr(executor_module, "step", take)
    assert await lead(way) is State.STOPPED
    assert cell in taken
