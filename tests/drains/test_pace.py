from __future__ import annotations

import asyncio
from collections.abc import Callable

from hsup.drains.pace import LEAST_BYTES, Pace
from hsup.output.backlog import Backlog, BacklogReader
from hsup.testing import make_batch

BLOCK = b"x" * 65_535 + b"\n"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def flooded(pace: Pace) -> tuple[Backlog, BacklogReader, Callable[[], None]]:
    """Return a backlog that was filled until dynos had to wait, or lines were dropped."""
    backlog = Backlog()
    reader = backlog.reader(4 << 20, pace)

    def flood() -> None:
        while not backlog.is_full and reader.dropped() is None:
            backlog.append(make_batch(BLOCK))

    flood()
    return backlog, reader, flood


async def test_dynos_wait_until_the_destination_has_caught_up_and_lose_nothing() -> None:
    backlog, reader, flood = flooded(Pace(wait_seconds=3600))
    for _ in range(5):
        assert backlog.is_full
        while backlog.is_full:
            assert reader.next(1 << 20) is not None
        flood()
    assert backlog.is_full


async def test_dynos_wait_no_longer_for_one_that_takes_too_little() -> None:
    clock = Clock()
    backlog, reader, flood = flooded(Pace(wait_seconds=0.001, clock=clock, busy_clock=lambda: 0.0))
    assert reader.next(LEAST_BYTES // 2) is not None
    await backlog.drained()
    flood()
    assert not backlog.is_full
    clock.now = 0.9
    flood()
    assert not backlog.is_full


async def test_after_a_while_dynos_wait_again_and_each_time_later() -> None:
    clock = Clock()
    backlog, _, flood = flooded(Pace(wait_seconds=0.001, clock=clock, busy_clock=lambda: 0.0))
    pauses = []
    for _ in range(8):
        await backlog.drained()
        before = clock.now
        while not backlog.is_full:
            clock.now += 0.5
            flood()
        pauses.append(clock.now - before)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


async def test_dynos_wait_on_while_enough_is_taken() -> None:
    backlog, reader, _ = flooded(Pace(wait_seconds=0.02, busy_clock=lambda: 0.0))
    for _ in range(3):
        begun = asyncio.get_running_loop().time()
        for _ in range(LEAST_BYTES // len(BLOCK) + 1):
            backlog.append(make_batch(BLOCK))
            assert reader.next(len(BLOCK)) is not None
        await asyncio.sleep(max(begun + 0.025 - asyncio.get_running_loop().time(), 0))
        if not backlog.is_full:  # the machine stood still
            return
    assert reader.dropped() is None


async def test_dynos_wait_on_while_it_is_hsup_that_takes_long() -> None:
    busy = [0.0]

    def busy_clock() -> float:
        busy[0] += 0.001
        return busy[0]

    backlog, _, _ = flooded(Pace(wait_seconds=0.001, busy_clock=busy_clock))
    await asyncio.sleep(0.02)
    assert backlog.is_full


async def test_for_one_that_fails_no_dyno_waits_until_it_takes_a_block_again() -> None:
    pace = Pace(wait_seconds=3600)
    backlog, reader, flood = flooded(pace)
    pace.note_failure()
    assert not backlog.is_full
    flood()
    assert not backlog.is_full
    pace.note_success()
    reader.dropped()
    flood()
    assert backlog.is_full
