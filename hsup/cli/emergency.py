"""What is said and done where the event loop cannot be waited for."""

from __future__ import annotations

import glob
import os
import signal
import time
from contextlib import suppress
from functools import partial

from hsup.plugins.calls import NOTICE_SECONDS, Calls
from hsup.threads import start_thread
from hsup.visible import say_at_once

#: How often to look whether a plugin blocks.
_LOOK_SECONDS = 2.5


def tell_of_blocking(calls: Calls) -> None:
    """Say from now on which plugin keeps the event loop from running, after some 10 s.

    Raises TooManyProcesses.
    """
    start_thread(partial(_watch, calls))


def _watch(calls: Calls) -> None:
    seconds = NOTICE_SECONDS
    while True:
        time.sleep(_LOOK_SECONDS)
        if blocking := calls.blocking(seconds):
            say_at_once(f"waiting for {blocking}, which lets hsup do nothing else")
            seconds *= 2
        elif not calls.blocking():
            seconds = NOTICE_SECONDS


def kill_descendants() -> bool:
    """Kill what drivers have left among the processes that come from this one, and say so.

    Returns whether there was any.
    """
    found: set[int] = set()
    while fresh := _descendants() - found:  # what was stopped makes no more
        for pid in fresh:
            _send(pid, signal.SIGSTOP)
        found |= fresh
    if found:
        names = ", ".join(f"{pid} ({_name_of(pid)})" for pid in sorted(found))
        say_at_once(f"killed what was left: {names}")
    for pid in found:
        _send(pid, signal.SIGKILL)
    return bool(found)


def _descendants() -> set[int]:
    """Return the processes below this one that run (man 5 proc, task/TID/children)."""
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        for path in glob.glob(f"/proc/{waiting.pop()}/task/*/children"):
            with suppress(OSError), open(path, encoding="ascii") as file:
                fresh = {int(word) for word in file.read().split()} - found
                found |= fresh
                waiting += fresh
    return {pid for pid in found if _is_running(pid)}


def _is_running(pid: int) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b") ")[2][:1] not in b"ZX"
    return False


def _name_of(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/comm", errors="replace") as file:
        return file.read().strip()
    return "ended"


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
