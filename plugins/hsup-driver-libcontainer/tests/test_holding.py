"""What a dyno was given is given back once, whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from hsup_driver_libcontainer.allocation import Allocation
from hsup_driver_libcontainer.holding import Holding

GIVEN = cast(Allocation, object())


class Machine:
    """Takes back what it gave once it may, or fails."""

    def __init__(self) -> None:
        self.begun: list[Allocation] = []
        self.done: list[Allocation] = []
        self.failures: list[Exception] = []
        self.may_end = asyncio.Event()

    async def take_back(self, given: Allocation) -> None:
        self.begun.append(given)
        await self.may_end.wait()
        if self.failures:
            raise self.failures.pop()
        self.done.append(given)


def run(check: Callable[[Machine, Holding], Awaitable[None]]) -> None:
    async def checked() -> None:
        machine = Machine()
        async with asyncio.timeout(60):
            await check(machine, Holding(GIVEN, machine.take_back))

    asyncio.run(checked())


def test_it_is_given_back_once_however_many_wait_for_it() -> None:
    async def check(machine: Machine, holding: Holding) -> None:
        waiting = [asyncio.create_task(holding.give_back()) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (machine.begun, machine.done) == ([GIVEN], [])
        machine.may_end.set()
        await asyncio.gather(*waiting)
        await holding.give_back()
        assert machine.begun == machine.done == [GIVEN]

    run(check)


def test_whoever_stops_waiting_does_not_keep_it_from_being_given_back() -> None:
    async def check(machine: Machine, holding: Holding) -> None:
        impatient = asyncio.create_task(holding.give_back())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait({impatient})
        assert impatient.cancelled()
        machine.may_end.set()
        await holding.give_back()
        assert machine.begun == machine.done == [GIVEN]

    run(check)


def test_what_could_not_be_given_back_is_tried_again_at_the_next_call() -> None:
    async def check(machine: Machine, holding: Holding) -> None:
        machine.failures.append(OSError("busy"))
        machine.may_end.set()
        with pytest.raises(OSError, match="busy"):
            await holding.give_back()
        assert machine.done == []
        await holding.give_back()
        assert machine.done == [GIVEN]

    run(check)
