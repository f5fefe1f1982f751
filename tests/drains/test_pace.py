from __future__ import annotations

import asyncio

import pytest

from hsup.drains.pace import QUICK_BYTES, Pace


async def test_a_destination_is_quick_once_it_has_taken_a_block_in_time() -> None:
    pace = Pace(quick_seconds=3600)
    assert not pace.is_quick()
    with pace.timed():
        pass
    assert pace.is_quick()


async def test_a_block_that_takes_too_long_makes_it_slow_while_it_is_waited_for() -> None:
    pace = Pace(quick_seconds=0.001)
    slow = asyncio.Event()
    pace.on_slow = slow.set
    with pace.timed():
        await slow.wait()
        assert not pace.is_quick()
    assert not pace.is_quick()


async def test_the_time_for_which_hsup_is_busy_does_not_count() -> None:
    busy = [0.0]
    pace = Pace(quick_seconds=0.001, busy_clock=lambda: busy[0])
    loop = asyncio.get_running_loop()
    with pace.timed():
        begun = loop.time()
        await asyncio.sleep(0.01)
        busy[0] = loop.time() - begun + 1
        await asyncio.sleep(0.01)
    assert pace.is_quick()


async def test_a_large_block_may_take_longer() -> None:
    pace = Pace(quick_seconds=0.001)
    with pace.timed(3600_000 * QUICK_BYTES):
        await asyncio.sleep(0.01)
    assert pace.is_quick()


async def test_a_failure_makes_it_slow_however_quick_it_is() -> None:
    pace = Pace(quick_seconds=3600)
    with pace.timed():
        pass
    with pytest.raises(OSError, match="refused"), pace.timed():
        raise OSError("refused")
    assert not pace.is_quick()
