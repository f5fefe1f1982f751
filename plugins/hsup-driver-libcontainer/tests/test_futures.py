"""Only the first result or error of a future counts."""

from __future__ import annotations

import asyncio
import gc

import pytest

from hsup_driver_libcontainer.futures import fail, settle


def test_the_first_result_counts() -> None:
    async def check() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        settle(future, 1)
        settle(future, 2)
        fail(future, ValueError("late"))
        assert await future == 1

    asyncio.run(check())


def test_the_first_error_counts() -> None:
    async def check() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        fail(future, ValueError("first"))
        fail(future, ValueError("second"))
        settle(future, 1)
        with pytest.raises(ValueError, match="first"):
            await future

    asyncio.run(check())


def test_one_that_was_cancelled_stays_so() -> None:
    async def check() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.cancel()
        settle(future, 1)
        fail(future, ValueError("late"))
        assert future.cancelled()

    asyncio.run(check())


def test_an_error_that_nobody_awaits_is_not_reported() -> None:
    reports: list[object] = []

    async def check() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        future: asyncio.Future[int] = loop.create_future()
        fail(future, ValueError("a slip"))
        del future
        gc.collect()

    asyncio.run(check())
    assert reports == []
