"""Snapshots are shared by those who may have an older one."""

from __future__ import annotations

import asyncio
import os

import pytest

from hsup_driver_simple import process_scanner
from hsup_driver_simple.process_scanner import ProcessScanner
from hsup_driver_simple.processes import Snapshot


class Taken(Snapshot):
    """Counts how often one is taken; the first `failures` fail."""

    times = 0
    failures = 0

    def __init__(self) -> None:
        Taken.times += 1
        if Taken.times <= Taken.failures:
            raise FileNotFoundError("/proc")
        super().__init__()


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_scanner, "Snapshot", Taken)
    monkeypatch.setattr(Taken, "times", 0)
    monkeypatch.setattr(Taken, "failures", 0)


def test_those_who_ask_within_seconds_get_the_same() -> None:
    async def check() -> None:
        scanner = ProcessScanner()
        taken = await asyncio.gather(*(scanner.recent() for _ in range(10)))
        assert {id(one) for one in (*taken, await scanner.recent())} == {id(taken[0])}
        assert taken[0].members(0, os.getpid()) >= {os.getpid()}

    asyncio.run(check())
    assert Taken.times == 1


def test_an_old_one_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_scanner, "_RECENT_SECONDS", -1.0)

    async def check() -> None:
        scanner = ProcessScanner()
        assert await scanner.recent() is not await scanner.recent()

    asyncio.run(check())


def test_one_that_failed_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taken, "failures", 1)

    async def check() -> None:
        scanner = ProcessScanner()
        with pytest.raises(FileNotFoundError):
            await scanner.recent()
        await scanner.recent()

    asyncio.run(check())
    assert Taken.times == 2


def test_one_who_waits_no_longer_takes_it_from_nobody() -> None:
    async def check() -> None:
        scanner = ProcessScanner()
        first, second = (asyncio.create_task(scanner.recent()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).marked is not None
        assert first.cancelled()

    asyncio.run(check())
