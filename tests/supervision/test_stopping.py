from __future__ import annotations

import asyncio
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest

from hsup.supervision.stopping import Stopping


def told(*numbers: Signals) -> Stopping:
    stopping = Stopping()
    for number in numbers:
        stopping.take(number)
    return stopping


async def test_a_stop_begins_with_the_first_signal() -> None:
    stopping = told()
    waiting = asyncio.create_task(stopping.begun.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    stopping.take(SIGTERM)
    await waiting


def test_a_stop_is_hurried_from_the_second_signal_on() -> None:
    assert [told(*[SIGTERM] * times).is_hurried for times in range(4)] == [False, False, True, True]


def test_the_reason_is_the_first_signal() -> None:
    reason = told(SIGINT, SIGTERM).reason
    assert "SIGINT" in reason
    assert "SIGTERM" not in reason


@pytest.mark.parametrize(
    ("numbers", "highest", "has_killed", "status"),
    [
        ([], 0, False, 0),
        ([], 0, True, 1),
        ([], 3, True, 3),
        ([SIGTERM], 0, False, 0),
        ([SIGTERM], 0, True, 1),
        ([SIGTERM], 3, True, 3),
        ([SIGINT], 0, False, 130),
        ([SIGINT], 0, True, 130),
        ([SIGINT], 3, False, 3),
        ([SIGTERM, SIGTERM], 0, False, 143),
        ([SIGTERM, SIGINT], 3, True, 130),
        ([SIGTERM, SIGINT, SIGHUP], 0, False, 129),
    ],
    ids=str,
)
def test_the_exit_status_is_the_most_telling_one(
    numbers: list[Signals], highest: int, has_killed: bool, status: int
) -> None:
    assert told(*numbers).exit_status(highest=highest, has_killed=has_killed) == status
