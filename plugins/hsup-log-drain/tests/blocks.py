"""Blocks for drains, and a loop for a test."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from hsup.api import LogBatch, Settings
from hsup.log_drain import Destination, DrainURL, LogBlock

LONG_ENOUGH_SECONDS = 60

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def in_loop(test: Callable[_Given, Awaitable[None]]) -> Callable[_Given, None]:
    """Run an async test on a loop of its own, for a bounded time."""

    @functools.wraps(test)
    def run(*given: _Given.args, **named: _Given.kwargs) -> None:
        async def in_time() -> None:
            async with asyncio.timeout(LONG_ENOUGH_SECONDS):
                await test(*given, **named)

        asyncio.run(in_time())

    return run


async def with_turns(work: Awaitable[_Result]) -> tuple[_Result, int]:
    """Return what is awaited, and how often another task ran meanwhile."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        return await work, turns
    finally:
        counting.cancel()


def make_block(*batches: LogBatch) -> LogBlock:
    count = sum(len(batch.lines.splitlines()) for batch in batches)
    return LogBlock(os.urandom(16).hex().upper(), batches, count)


def destination(url: DrainURL, directory: str = "/") -> Destination:
    settings = Settings(directory=directory, environ={})
    return Destination(url, "d.00000000-0000-0000-0000-000000000000", settings)
