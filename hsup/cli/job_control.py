"""Pause the dyno that reads hsup's terminal while another job has the terminal.

The kernel stops a job that reads in the background, but not a dyno, which has a session of its
own: it would read what is typed for the shell.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from signal import SIG_DFL, SIG_IGN, SIGCONT, SIGSTOP, SIGTSTP
from typing import Any

from hsup.cli.lent_input import LentInput, has_job_control
from hsup.events import DynoExited, DynoStateChanged, Event
from hsup.lifecycle import State
from hsup.model import DynoName

_PAUSED = "Paused in the background, because it reads the terminal; fg resumes it"

#: How often to look whether hsup has come to the foreground: no signal tells a job that runs.
_LOOK_SECONDS = 0.5

#: How long processes may take to stop, and how often to look whether they have.
_STOP_SECONDS, _STOPPED_SECONDS = 2.0, 0.002
#: The states of processes that read nothing: stopped, traced or ended (man 5 proc).
_STILL = (b"T", b"t", b"Z", b"X")


class JobControl:
    """Stops hsup and the dyno that reads its terminal at ^Z, and continues both.

    `send` sends a signal to all processes of the dyno, and `say` adds a line to its output.
    """

    def __init__(
        self,
        dyno: DynoName,
        lent: LentInput,
        *,
        send: Callable[[int], Awaitable[None]],
        say: Callable[[str], None],
    ) -> None:
        self._dyno = dyno
        self._lent = lent
        self._send = send
        self._say = say
        self._is_active = has_job_control()
        self._is_paused = self._has_said = self._is_suspending = False
        self._session: int | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def install(self) -> None:
        """Handle the signals of job control from now on, if hsup's input has jobs."""
        if not self._is_active:
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(SIGCONT, self._soon, self._follow)
        if signal.getsignal(SIGTSTP) != SIG_IGN:
            loop.add_signal_handler(SIGTSTP, self._soon, self._suspend)

    def observe(self, event: Event) -> None:
        """Lend the input to the dyno when it starts, and take it back when it has ended."""
        if isinstance(event, DynoExited) and event.dyno == self._dyno:
            self._lent.restore()
        elif isinstance(event, DynoStateChanged) and event.dyno == self._dyno:
            self._enter(event.after, event.pid)

    def _enter(self, state: State, pid: int | None) -> None:
        self._session = pid
        if state is State.STARTING:
            self._lent.lend()
            self._is_paused = False
        elif state is State.UP and self._is_active:
            self._soon(self._follow)

    def _soon(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(act())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _suspend(self) -> None:
        """Stop the dyno, and then hsup, until the shell continues it."""
        if self._is_suspending:
            return
        self._is_suspending = True
        async with self._one_at_a_time:
            await self._pause()
            self._lent.take_back()
            handler = signal.signal(SIGTSTP, SIG_DFL)
            signal.raise_signal(SIGTSTP)
            signal.signal(SIGTSTP, handler)
        self._is_suspending = False
        await self._follow()

    async def _follow(self) -> None:
        """Pause the dyno in the background, and let it go on in the foreground."""
        async with self._one_at_a_time:
            if self._lent.has_terminal():
                await self._resume()
                return
            await self._pause()
            if not self._has_said:
                self._has_said = True
                self._say(_PAUSED)
            self._look_later()

    def _look_later(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(_LOOK_SECONDS, self._soon, self._follow)

    async def _pause(self) -> None:
        """Stop the dyno; until it is, a process of it may still read what is typed next."""
        if self._is_paused:
            return
        self._is_paused = True
        await self._send(SIGSTOP)
        deadline = time.monotonic() + _STOP_SECONDS
        while _runs_any(self._session) and time.monotonic() < deadline:  # noqa: ASYNC110 - no event
            await asyncio.sleep(_STOPPED_SECONDS)

    async def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = self._has_said = False
            self._lent.lend_again()
            await self._send(SIGCONT)


def _runs_any(session: int | None) -> bool:
    """Tell whether a process of a session is not stopped, as far as /proc can be read."""
    with suppress(OSError):
        return any(
            state not in _STILL and its_session == session for state, its_session in _processes()
        )
    return False


def _processes() -> Iterator[tuple[bytes, int]]:
    """Yield the state and the session of every process (man 5 proc, stat)."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{name}/stat", "rb") as f:
            fields = f.read().rpartition(b") ")[2].split()
            yield fields[0], int(fields[3])
