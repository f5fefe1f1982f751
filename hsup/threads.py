"""Run blocking functions in threads that do not keep hsup from ending."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hsup.cancellation import until
from hsup.errors import HsupError, TooManyProcesses

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

# asyncio is imported by the coroutines only: `hsup run` has no event loop.

_Result = TypeVar("_Result")


def start_thread(work: Callable[[], object]) -> threading.Thread:
    """Call a function in a thread of its own, which does not keep hsup from ending.

    Raises TooManyProcesses.
    """
    thread = threading.Thread(target=work, daemon=True)
    start(thread)
    return thread


def start(thread: threading.Thread) -> None:
    """Start a thread. Raises TooManyProcesses."""
    try:
        thread.start()
    except RuntimeError as error:
        raise TooManyProcesses from error


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Call a blocking function in a thread; return what it returns, raise what it raises.

    The thread has a copy of the caller's context. It is a daemon: unlike the threads of
    asyncio, it does not keep hsup from ending while it is stuck in a file system or an API.
    Raises TooManyProcesses if it cannot be started.
    """
    import asyncio
    from concurrent.futures import Future

    future: Future[_Result] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(_awaitable(error))

    start_thread(partial(contextvars.copy_context().run, run))
    return await asyncio.wrap_future(future)


async def in_thread_or_here(work: Callable[[], _Result]) -> _Result:
    """Do what `in_thread` does, but block the event loop if no thread can be started.

    This is for clean-up, which must not fail because there are too many processes.
    """
    try:
        return await in_thread(work)
    except TooManyProcesses:
        return work()


def _awaitable(error: BaseException) -> Exception:
    """Return an error in a form that an awaiting coroutine can receive.

    A BaseException would end the event loop, and StopIteration, which has a meaning of its
    own there, would never arrive (asyncio.Future.set_exception, until Python 3.12).
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    raised = RuntimeError(": ".join(filter(None, (type(error).__name__, str(error)))))
    raised.__cause__ = error
    return raised


async def in_thread_or_undone(
    work: Callable[[], _Result], undo: Callable[[_Result], object]
) -> _Result:
    """Do what `in_thread` does; when cancelled, undo the result of the work.

    The cancellation waits for both, as the thread cannot be ended; the work learns from
    `hsup.cancellation` that it is no longer wanted. `undo` is called in a thread too, if one
    can be started.
    """
    import asyncio

    is_unwanted = threading.Event()
    with until(is_unwanted):
        working = asyncio.ensure_future(in_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        is_unwanted.set()
        await asyncio.shield(asyncio.ensure_future(_undo(working, undo)))
        raise


async def _undo(working: asyncio.Future[_Result], undo: Callable[[_Result], object]) -> None:
    with suppress(HsupError):
        await in_thread_or_here(partial(undo, await working))
