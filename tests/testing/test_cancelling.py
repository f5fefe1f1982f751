from __future__ import annotations

import asyncio

import pytest

from hsup.testing.cancelling import CancelResult, Moment, cancel


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_coroutine_is_cancelled_as_it_waits_for_the_time_of_a_number(is_late: bool) -> None:
    passed = []

    async def work() -> str:
        for number in range(1, 4):
            await asyncio.sleep(0.001)
            passed.append(number)
        return "done"

    assert await cancel(Moment(2, is_late), work()) == CancelResult(was_cancelled=True)
    assert passed == [1]
    assert await cancel(Moment(4, is_late), work()) == CancelResult(
        was_cancelled=False, result="done"
    )


async def test_what_is_cancelled_late_has_what_it_waited_for() -> None:
    waiting = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(waiting.set_result, "here")
    await cancel(Moment(1, is_late=True), waiting)
    assert waiting.result() == "here"
    other = asyncio.get_running_loop().create_future()
    await cancel(Moment(1), other)
    assert other.cancelled()
