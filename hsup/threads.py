"""Run what blocks beside the event loop, without ever having to wait for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from hsup.errors import HsupError, SourceError

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Return what a blocking function returns, or raise what it raises.

    The thread is a daemon: unlike one of asyncio's own, it does not keep hsup
    from ending while it is stuck in a file system or an API.
    """
    future: Future[_Result] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)


async def called(work: Callable[[], _Result], failure: type[HsupError]) -> _Result:
    """Return what a source's or a driver's blocking method returns.

    A stranger's must not take the dynos down with it: what it raises becomes a failure of
    that kind, and is logged.
    """
    try:
        return await in_thread(work)
    except HsupError:
        raise
    except Exception as error:
        whose = "source" if failure is SourceError else "driver"
        logger.exception("the %s failed", whose)
        raise failure(f"the {whose} failed: {error!r}") from error
