from __future__ import annotations

import asyncio

import pytest

from hsup.drains.pace import Pace


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


async def test_a_failure_makes_it_slow_however_quick_it_is() -> None:
    pace = Pace(quick_seconds=3600)
    with pace.timed():
        pass
    with pytest.raises(OSError, match="refused"), pace.timed():
        raise OSError("refused")
    assert not pace.is_quick()
