from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hsup.supervision.asking import Asking


async def has_reason(asking: Asking) -> bool:
    """Tell whether there is a reason to ask now."""
    try:
        async with asyncio.timeout(0):
            await asking.wait()
    except TimeoutError:
        return False
    return True


async def test_without_a_reason_it_waits() -> None:
    assert not await has_reason(Asking())


@pytest.mark.parametrize("give", [Asking.change, Asking.want, Asking.now])
async def test_any_reason_ends_the_wait_until_it_is_taken(give: Callable[[Asking], None]) -> None:
    asking = Asking()
    waiting = asyncio.create_task(asking.wait())
    await asyncio.sleep(0)
    give(asking)
    await waiting
    assert await has_reason(asking)
    assert asking.take() == 1
    assert not await has_reason(asking)


async def test_later_is_a_reason_when_the_time_has_come() -> None:
    asking = Asking()
    asking.later(0.0)
    assert not await has_reason(Asking())
    await asking.wait()


async def test_a_later_time_replaces_an_earlier_one() -> None:
    asking = Asking()
    asking.later(0.0)
    asking.later(10_000.0)
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(0.0, passed.set_result, None)  # called after what was due before
    await passed
    assert not await has_reason(asking)


async def test_an_earlier_time_replaces_a_later_one() -> None:
    asking = Asking()
    asking.later(10_000.0)
    asking.later(0.0)
    await asking.wait()


def test_what_a_user_wants_and_what_has_changed_are_asked_for_one_by_one() -> None:
    asking = Asking()
    asking.want()
    asking.change()
    asking.now()
    assert asking.take() == 2
    assert asking.take() == 1


def test_the_same_reason_twice_is_one_question() -> None:
    for give in (Asking.change, Asking.want, Asking.now):
        asking = Asking()
        give(asking)
        give(asking)
        assert asking.take() == 1


async def test_a_question_during_a_build_does_not_count_as_the_answer_to_a_user() -> None:
    asking = Asking()
    asking.want()
    asking.clear()
    assert not await has_reason(asking)
    asking.change()
    assert await has_reason(asking)
    assert asking.take() == 2
