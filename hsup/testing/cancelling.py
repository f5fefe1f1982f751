"""Cancel a coroutine at each of the moments at which it can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Moment:
    """When a coroutine is cancelled: as it waits for the time of a number, from 1 on.

    With `is_late` what it waits for has just come, and it has not gone on yet.
    """

    number: int
    is_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[_Result]):
    """What became of a coroutine: its result is that of one that has ended before."""

    was_cancelled: bool
    result: _Result | None = None


async def cancel(moment: Moment, work: Awaitable[_Result]) -> Outcome[_Result]:
    """Cancel a coroutine at a moment; fail where it ends as if it had not been cancelled."""
    driven = _Driven(work, moment)
    task = asyncio.ensure_future(driven.run())
    await asyncio.wait({task})
    if not driven.is_cancelled:
        return Outcome(was_cancelled=False, result=task.result())
    assert task.cancelled(), f"cancelled at {moment}, it went on: {task}"
    return Outcome(was_cancelled=True)


class _Driven(Generic[_Result]):
    """Awaits step by step, in a task of its own, what that task is cancelled in."""

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
        """Have the task cancelled once it waits, or when what it waits for is there."""
        self.is_cancelled = True
        task = asyncio.current_task()
        assert task is not None
        if self._moment.is_late and awaited is not None:
            awaited.add_done_callback(lambda _: task.cancel())  # before the task's own callback
        else:
            asyncio.get_running_loop().call_soon(task.cancel)
