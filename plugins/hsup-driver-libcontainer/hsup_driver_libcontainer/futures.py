"""Settle what is awaited, of which the first that is heard counts."""

from __future__ import annotations

import asyncio
from typing import TypeVar

_Result = TypeVar("_Result")


def settle(future: asyncio.Future[_Result], result: _Result) -> None:
    """Have a future return a result, unless it is done."""
    if not future.done():
        future.set_result(result)


def fail(future: asyncio.Future[_Result], error: Exception) -> None:
    """Have a future raise an error, unless it is done."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # nobody may be waiting any more
