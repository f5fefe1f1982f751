from __future__ import annotations

import asyncio
import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from hsup.archives.compression import decompressed
from hsup.cancellation import GivenUp, pause
from hsup.errors import TooManyProcesses
from hsup.slugs.credentials import in_thread_of
from hsup.threads import in_thread, in_thread_or_here, in_thread_or_undone


async def test_what_the_function_returns_is_returned() -> None:
    assert await in_thread(lambda: threading.current_thread().daemon)


async def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_what_only_a_generator_may_raise_arrives_too() -> None:
    with pytest.raises(RuntimeError, match=r"^StopIteration$") as raised:
        await in_thread(lambda: next(iter(())))
    assert isinstance(raised.value.__cause__, StopIteration)


@pytest.fixture
def no_threads_from_now() -> Iterator[Callable[[], object]]:
    """Yield a function that makes every thread fail to start: its stack needs too much memory."""
    yield lambda: threading.stack_size(1 << 45)
    threading.stack_size(0)


@pytest.fixture
def no_threads(no_threads_from_now: Callable[[], object]) -> None:
    no_threads_from_now()


@pytest.mark.usefixtures("no_threads")
async def test_that_no_thread_can_be_started_names_the_limit() -> None:
    with pytest.raises(TooManyProcesses, match=r"cannot start a thread: .* ulimit -u 4096"):
        await in_thread(lambda: None)


@pytest.mark.usefixtures("no_threads")
async def test_a_slug_cannot_be_read_without_a_thread() -> None:
    with pytest.raises(TooManyProcesses):
        next(decompressed(io.BytesIO(gzip.compress(b"content"))))
    with pytest.raises(TooManyProcesses):
        in_thread_of(os.geteuid(), os.getgroups(), pytest.fail)


@pytest.mark.usefixtures("no_threads")
async def test_what_must_be_done_is_done_here_where_no_thread_can_be_started() -> None:
    assert await in_thread_or_here(threading.current_thread) is threading.main_thread()


async def test_a_call_that_nobody_waits_for_any_more_does_no_harm() -> None:
    may_end = threading.Event()
    waiting = asyncio.create_task(in_thread(may_end.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()


def test_a_call_that_is_stuck_does_not_keep_the_program_from_ending() -> None:
    code = "import asyncio, threading\nfrom hsup.threads import in_thread\n"
    code += "async def main():\n"
    code += "    stuck = asyncio.create_task(in_thread(threading.Event().wait))\n"
    code += "    await asyncio.sleep(0)\n    stuck.cancel()\n"
    code += "asyncio.run(main())\n"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("has_threads", [True, False])
async def test_what_nobody_waits_for_any_more_is_undone_before_the_cancellation_goes_on(
    no_threads_from_now: Callable[[], object], has_threads: bool
) -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    undone: list[str] = []

    def work() -> str:
        has_begun.set()
        may_end.wait()
        return "made"

    waiting = asyncio.create_task(in_thread_or_undone(work, undone.append))
    await in_thread(has_begun.wait)
    if not has_threads:
        no_threads_from_now()
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert undone == ["made"]


async def test_work_is_told_that_nobody_waits_for_it_any_more() -> None:
    has_begun, raised = threading.Event(), []

    def work() -> None:
        has_begun.set()
        try:
            pause(60)
        except GivenUp as error:
            raised.append(error)
            raise

    waiting = asyncio.create_task(in_thread_or_undone(work, raised.append))
    await in_thread(has_begun.wait)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (error,) = raised
    assert isinstance(error, GivenUp)


async def test_what_is_waited_for_to_its_end_is_not_undone() -> None:
    def undo(made: object) -> None:
        pytest.fail(f"{made} was undone")

    assert await in_thread_or_undone(lambda: "made", undo) == "made"
    with pytest.raises(ZeroDivisionError):
        await in_thread_or_undone(lambda: 1 // 0, undo)
