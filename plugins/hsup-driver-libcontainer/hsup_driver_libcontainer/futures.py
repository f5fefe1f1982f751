"""Settle futures for which only the first result or error counts."""

from __future__ import annotations

import asyncio
from typing import TypeVar

_Result = TypeVar("_Result")


def settle(future: asyncio.Future[_Result], result: _Result) -> None:
    """Set the result of a future, unless it is done."""
    if not future.done():
        future.set_result(result)


def fail(future: asyncio.Future[_Result], error: Exception) -> None:
    """Set the error of a future, unless it is done."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # retrieved here: maybe nobody awaits it any more
