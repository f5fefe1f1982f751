"""The side of the process that copies, from the beginning to the last line that is delivered."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from hsup.copying.channel import (
    BEGUN,
    COPIED,
    ENDED,
    HURRY,
    LEFT,
    PID,
    READY,
    SAID,
    Channel,
)
from hsup.copying.copies import Copy, Lines
from hsup.copying.ends import Ends
from hsup.copying.terminal import Keyboard, stop_job
from hsup.output.logs import Unfinished
from hsup.terminal import ENDING, FORWARDED
from hsup.visible import warn

_HURRYING = (signal.SIGINT, *ENDING)


class Deliverer(Lines, Protocol):
    """What delivers the lines."""

    def begin(self) -> None:
        """Begin to deliver; called in the event loop, before the program begins."""

    def say(self, text: str) -> None:
        """Take a line of hsup's own."""

    async def finish(self, hurried: asyncio.Event) -> Sequence[str]:
        """Deliver what is left; return what to say of the rest. Give up if `hurried` is set."""


class Relay:
    """Copies what the program writes, and has it delivered.

    `leader` is the process that leads the session of the program's terminal, None if the program
    runs beside this process, in the session of the caller's shell: see `hsup.copying`.
    """

    def __init__(
        self, ends: Ends, channel: Channel, deliverer: Deliverer, leader: int | None
    ) -> None:
        self._ends = ends
        self._channel = channel
        self._deliverer = deliverer
        self._leader = leader
        self._runner: int | None = None
        self._keyboard: Keyboard | None = None
        self._copies: list[Copy] = []

    async def run(self) -> int | None:
        """Run to the end; return the leader's wait status, None without a leader.

        Raises HsupError if delivery cannot begin; then the program does not begin either.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._events = {word: asyncio.Event() for word in (ENDED, LEFT, HURRY)}
        self._ended, self._hurried = self._events[ENDED], self._events[HURRY]
        self._left: asyncio.Future[int] = loop.create_future()
        self._handle_signals()
        self._deliverer.begin()
        unfinished = Unfinished()
        self._copies = [
            Copy(one, self._deliverer, unfinished, self._hang_up) for one in self._ends.copied
        ]
        if self._ends.keyboard is not None:
            self._keyboard = Keyboard(loop, self._ends.keyboard)
        loop.add_reader(self._channel.fileno(), self._hear)
        self._channel.tell(READY)
        await self._ended.wait()
        await self._copy_rest()
        self._channel.tell(COPIED)
        await self._events[LEFT].wait()
        for text in await self._deliverer.finish(self._hurried):
            warn(text)
        return None if self._leader is None else await self._left

    async def _copy_rest(self) -> None:
        if self._keyboard is not None:
            self._keyboard.end()
        copying = [asyncio.create_task(one.finish()) for one in self._copies]
        hurried = asyncio.create_task(self._wait_for_hurry())
        everything = asyncio.create_task(_all(copying))
        await asyncio.wait([everything, hurried], return_when="FIRST_COMPLETED")
        for task in (everything, hurried, *copying):
            task.cancel()
        await asyncio.wait(copying)
        for one in self._copies:
            if one.error is not None:
                warn(f"warning: cannot write the output of the dyno: {one.error.strerror}")

    def _hear(self) -> None:
        heard = self._channel.heard()
        if heard is None:  # the runner has ended
            self._loop.remove_reader(self._channel.fileno())
            heard = iter([(LEFT, "")] if self._ended.is_set() else [(ENDED, ""), (LEFT, "")])
        for word, more in heard:
            self._take(word, more)

    def _take(self, word: bytes, more: str) -> None:
        if word == PID:
            self._runner = int(more)
        elif word == BEGUN and self._keyboard is not None:
            self._keyboard.begin()
        elif word == SAID:
            self._deliverer.say(more)
        elif word in self._events:
            self._events[word].set()

    def _handle_signals(self) -> None:
        """Handle signals, which are blocked until now."""
        for number in FORWARDED:
            if self._leader is None or signal.getsignal(number) != signal.SIG_IGN:
                self._loop.add_signal_handler(number, partial(self._receive, number))
        self._loop.add_signal_handler(signal.SIGWINCH, self._resize)
        if self._leader is not None:
            self._loop.add_signal_handler(signal.SIGCHLD, self._look_at_leader)
            self._loop.add_signal_handler(signal.SIGCONT, self._continue)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _receive(self, number: int) -> None:
        """Pass a signal on; a runner beside this process gets its own, and says what it means."""
        if self._leader is None:
            return
        if self._left.done() and number in _HURRYING:
            self._hurried.set()
        elif self._runner is not None:
            with suppress(ProcessLookupError):
                os.kill(self._runner, number)

    def _resize(self) -> None:
        for one in self._copies:
            one.resize()

    def _hang_up(self) -> None:
        """Tell the program that the caller's terminal was closed: the kernel tells only hsup."""
        if self._leader is not None:
            self._receive(signal.SIGHUP)

    def _continue(self) -> None:
        if self._keyboard is not None:
            self._keyboard.resume()

    def _look_at_leader(self) -> None:
        assert self._leader is not None
        try:
            pid, status = os.waitpid(self._leader, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            assert self._keyboard is not None
            stop_job(self._keyboard, partial(os.kill, self._leader, signal.SIGCONT))
            self._resize()
        elif not self._left.done():
            self._left.set_result(status)

    async def _wait_for_hurry(self) -> None:
        await self._hurried.wait()


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)
