from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from hsup.errors import HsupError
from hsup.threads import in_thread


async def test_what_the_function_returns_is_returned():
    assert await in_thread(lambda: threading.current_thread().daemon)


async def test_what_the_function_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_that_no_thread_can_be_started_names_the_limit():
    threading.stack_size(1 << 45)  # more than there is: as where no process may be started
    try:
        with pytest.raises(HsupError, match=r"cannot start a thread: .*: ulimit -u"):
            await in_thread(lambda: None)
    finally:
        threading.stack_size(0)


async def test_a_call_that_nobody_waits_for_any_more_does_no_harm():
    may_end = threading.Event()
    waiting = asyncio.create_task(in_thread(may_end.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()


def test_a_call_that_is_stuck_does_not_keep_the_program_from_ending():
    code = "import asyncio, threading\nfrom hsup.threads import in_thread\n"
    code += "async def main():\n"
    code += "    stuck = asyncio.create_task(in_thread(threading.Event().wait))\n"
    code += "    await asyncio.sleep(0)\n    stuck.cancel()\n"
    code += "asyncio.run(main())\n"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=10)
