"""What hsup does when it is sent a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from signal import SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, Signals, getsignal
from types import FrameType

from hsup.plugins.calls import LAST_SECONDS, Calls
from hsup.terminal import Repeats
from hsup.visible import say_at_once

logger = logging.getLogger(__name__)

#: A service manager of a container (SIGPWR), or the kernel before it kills (SIGXCPU), says so
#: once or every second: none of them is a second signal.
_STOPPING_ONCE = (signal.SIGPWR, signal.SIGXCPU)

#: What would end hsup without a word to its dynos, and means nothing to it.
_MEANINGLESS = (
    signal.SIGALRM,
    signal.SIGIO,
    signal.SIGPROF,
    signal.SIGSTKFLT,
    signal.SIGUSR2,
    signal.SIGVTALRM,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)

#: From this one on, a signal that stops ends hsup whatever it waits for.
_LAST_COUNT = 3


class SignalHandlers:
    """Does what signals ask for, also while a plugin keeps the event loop from running.

    `stop` is called for each signal that stops, `leave` for the third one, which must end
    hsup. A second one breaks off what blocks the loop.
    """

    def __init__(
        self,
        *,
        stop: Callable[[Signals], None],
        reload: Callable[[], None],
        dump: Callable[[], None],
        leave: Callable[[Signals], None],
        calls: Calls,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stop = stop
        self._reload = reload
        self._dump = dump
        self._leave = leave
        self._calls = calls
        self._loop = asyncio.get_running_loop()
        self._needs_terminal = _has_terminal() and getsignal(SIGHUP) != SIG_IGN
        self._repeats = Repeats(clock)
        self._count = 0
        self._ignored: set[int] = set()

    def install(self) -> None:
        """Handle signals from now on.

        SIGINT and SIGTERM stop, SIGQUIT at once, SIGHUP reloads, SIGUSR1 dumps the
        diagnostic log. A SIGHUP that came because the terminal is gone stops, as nobody
        could do so from there any more, unless hsup was started with nohup.
        """
        for number in (SIGINT, SIGTERM, SIGQUIT, *_STOPPING_ONCE):
            self._handle(number, self._end)
        self._handle(SIGHUP, lambda _: self._soon(self._hang_up))
        self._handle(SIGUSR1, lambda _: self._soon(self._dump))
        for number in _MEANINGLESS:
            if getsignal(number) == SIG_DFL:
                self._handle(number, self._ignore)

    def _handle(self, number: int, act: Callable[[int], object]) -> None:
        """Have a function called even while something blocks the loop, and the loop woken."""

        def handle(number: int, frame: FrameType | None) -> None:
            del frame
            act(number)

        self._loop.add_signal_handler(number, _do_nothing)
        signal.signal(number, handle)

    def _end(self, number: int) -> None:
        """Count a signal that stops; the third one ends hsup here."""
        if self._repeats.is_one(number) or (number in _STOPPING_ONCE and self._count):
            return
        self._count = max(self._count + 1, 2 if number == SIGQUIT else 1)
        if self._count >= _LAST_COUNT or self._loop.is_closed():
            self._leave(Signals(number))
        if number == SIGQUIT:  # a first signal and a second one
            self._soon(self._stop, Signals(number))
        self._soon(self._stop, Signals(number))
        blocking = self._calls.blocking()
        if blocking is None:
            return
        if self._count == 1:
            say_at_once(f"waiting for {blocking}, which lets hsup do nothing else")
        else:
            say_at_once(f"interrupting {blocking}")
            self._interrupt_later_ones()
            self._calls.interrupt()

    def _interrupt_later_ones(self) -> None:
        """Leave none of the calls that an end takes more time than one that can be cancelled."""
        signal.signal(signal.SIGALRM, lambda *_: self._calls.interrupt())
        signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS, LAST_SECONDS)

    def _soon(self, act: Callable[..., object], *given: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *given)

    def _hang_up(self) -> None:
        if not (self._needs_terminal and not _has_terminal()):
            self._reload()
        elif not self._count:  # it comes twice, from the kernel and from the shell
            self._count = 1
            self._stop(SIGHUP)

    def _ignore(self, number: int) -> None:
        if number not in self._ignored:
            self._ignored.add(number)
            self._soon(logger.warning, "ignored %s", _name(number))


def _do_nothing() -> None:
    """Be called when the loop was woken by a signal that is handled already."""


def _name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # most of those for real time have none
        return f"signal {number}"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
