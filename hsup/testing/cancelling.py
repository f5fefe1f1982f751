"""Cancel a coroutine at any of the moments at which it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Moment:
    """When a coroutine is cancelled: during its wait with this number, counted from 1.

    With `is_late`, what it waits for has just happened, but it has not resumed yet.
    """

    number: int
    is_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelResult(Generic[_Result]):
    """How a coroutine ended: `result` is set if it ended before it could be cancelled."""

    was_cancelled: bool
    result: _Result | None = None


async def cancel(moment: Moment, work: Awaitable[_Result]) -> CancelResult[_Result]:
    """Cancel a coroutine at a moment; fail if it ignores the cancellation."""
    driven = _Driven(work, moment)
    task = asyncio.ensure_future(driven.run())
    await asyncio.wait({task})
    if not driven.is_cancelled:
        return CancelResult(was_cancelled=False, result=task.result())
    assert task.cancelled(), f"cancelled at {moment}, it kept running: {task}"
    return CancelResult(was_cancelled=True)


class _Driven(Generic[_Result]):
    """Awaits a coroutine step by step, and cancels its own task at the moment."""

    def __init__(self, work: Awaitable[_Result], moment: Moment) -> None:
        self.is_cancelled = False
        self._work = work
        self._moment = moment

    async def run(self) -> _Result:
        """Return the result."""
        return await self

    def __await__(self) -> Generator[Any, None, _Result]:
        steps = self._work.__await__()
        raised: BaseException | None = None
        waits = 0
        while True:
            try:
                awaited = next(steps) if raised is None else steps.throw(raised)
            except StopIteration as end:
                result: _Result = end.value
                return result
            waits += 1
            if waits == self._moment.number:
                self._cancel(awaited)
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                raised = error
            else:
                raised = None

    def _cancel(self, awaited: asyncio.Future[Any] | None) -> None:
        """Cancel the task once it waits, or when what it waits for has happened."""
        self.is_cancelled = True
        task = asyncio.current_task()
        assert task is not None
        if self._moment.is_late and awaited is not None:
            awaited.add_done_callback(lambda _: task.cancel())  # before the task's own callback
        else:
            asyncio.get_running_loop().call_soon(task.cancel)
