"""Report a blocked event loop, and kill leftover processes, without the event loop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial

from hsup.plugins.calls import NOTICE_SECONDS, Calls
from hsup.threads import start_thread
from hsup.visible import say_at_once

#: How often to check whether a plugin blocks the event loop.
_LOOK_SECONDS = 2.5


def tell_of_blocking(calls: Calls) -> None:
    """Report from now on which plugin has blocked the event loop, after about 10 s.

    Raises TooManyProcesses.
    """
    start_thread(partial(_watch, calls))


def _watch(calls: Calls) -> None:
    seconds = NOTICE_SECONDS
    while True:
        time.sleep(_LOOK_SECONDS)
        if blocking := calls.blocking(seconds):
            say_at_once(f"hsup is blocked: {blocking}")
            seconds *= 2
        elif not calls.blocking():
            seconds = NOTICE_SECONDS


def kill_descendants(spared: Collection[int] = ()) -> bool:
    """Kill and print the descendants of this process that drivers failed to end.

    `spared` are hsup's own. Returns whether there were any others.
    """
    stopped: set[int] = set()
    while running := _descendants() - stopped.union(spared):  # a stopped process forks no more
        for pid in running:
            _send(pid, signal.SIGSTOP)
        stopped |= running
    if stopped:
        names = ", ".join(f"{pid} ({_name_of(pid)})" for pid in sorted(stopped))
        say_at_once(f"killed remaining processes: {names}")
    for pid in stopped:
        _send(pid, signal.SIGKILL)
    return bool(stopped)


def _descendants() -> set[int]:
    """Return the running descendants of this process (man 5 proc, task/TID/children)."""
    pids: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        children = set(_children(waiting.pop())) - pids
        pids |= children
        waiting += children
    return {pid for pid in pids if _is_running(pid)}


def _children(pid: int) -> Iterator[int]:
    tasks = f"/proc/{pid}/task"
    with suppress(OSError):
        for task in os.listdir(tasks):
            with suppress(OSError), open(f"{tasks}/{task}/children", encoding="ascii") as file:
                yield from map(int, file.read().split())


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
