"""What hsup does when it is sent a signal."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable
from signal import (
    SIG_DFL,
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGQUIT,
    SIGTERM,
    SIGUSR1,
    SIGWINCH,
    Signals,
    getsignal,
)
from types import FrameType

from hsup.plugins.calls import LAST_SECONDS, Calls
from hsup.terminal import Repeats
from hsup.visible import say_at_once

logger = logging.getLogger(__name__)

#: A container's service manager sends SIGPWR, and the kernel SIGXCPU before it kills, once or
#: every second: a repetition does not count as a second signal.
_STOPPING_ONCE = (signal.SIGPWR, signal.SIGXCPU)

#: Signals that hsup has no use for, and that would end it without stopping its dynos.
_MEANINGLESS = (
    signal.SIGALRM,
    signal.SIGIO,
    signal.SIGPROF,
    signal.SIGSTKFLT,
    signal.SIGUSR2,
    signal.SIGVTALRM,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)

#: How long the size of a window has to stay the same before dynos get it.
_RESIZE_SECONDS = 0.05

#: From this stopping signal on, hsup ends without waiting for anything.
_LAST_COUNT = 3


class SignalHandlers:
    """Acts on signals, even while a plugin blocks the event loop.

    `stop` is called for each stopping signal, `leave` for the third one and must end hsup; `resize`
    when the size of the terminal's window has changed.
    The second one interrupts whatever blocks the loop.
    """

    def __init__(
        self,
        *,
        stop: Callable[[Signals], None],
        reload: Callable[[], None],
        dump: Callable[[], None],
        resize: Callable[[], None],
        leave: Callable[[Signals], None],
        calls: Calls,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stop = stop
        self._reload = reload
        self._dump = dump
        self._resize = resize
        self._leave = leave
        self._calls = calls
        self._loop = asyncio.get_running_loop()
        self._needs_terminal = _has_terminal() and getsignal(SIGHUP) != SIG_IGN
        self._repeats = Repeats(clock)
        self._count = 0
        self._arrivals = itertools.count()
        self._ignored: set[int] = set()
        self._resizing: asyncio.TimerHandle | None = None

    def install(self) -> None:
        """Handle signals from now on.

        SIGINT and SIGTERM stop hsup, SIGQUIT at once; SIGHUP reloads; SIGUSR1 prints the
        diagnostic log, and SIGWINCH tells of the window. If SIGHUP came because the terminal was
        closed, it stops hsup, since no one could stop it from there later, unless hsup was
        started with nohup.
        """
        for number in (SIGINT, SIGTERM, SIGQUIT, *_STOPPING_ONCE):
            self._handle(number, self._end)
        self._handle(SIGHUP, lambda _: self._soon(self._hang_up))
        self._handle(SIGUSR1, lambda _: self._soon(self._dump))
        self._handle(SIGWINCH, lambda _: self._soon(self._resize_later))
        # By now, every signal that has a handler wakes the loop (see signal.set_wakeup_fd).
        for number in _MEANINGLESS:
            if getsignal(number) == SIG_DFL:
                signal.signal(number, self._ignore)

    def _handle(self, number: int, act: Callable[[int], object]) -> None:
        """Call a function even while the event loop is blocked, and wake the loop."""

        def handle(number: int, frame: FrameType | None) -> None:
            del frame
            act(number)

        self._loop.add_signal_handler(number, _do_nothing)
        signal.signal(number, handle)

    def _end(self, number: int) -> None:
        """Count a stopping signal; the third one ends hsup here."""
        is_first = next(self._arrivals) == 0 and not self._count
        if self._repeats.is_one(number) or (number in _STOPPING_ONCE and not is_first):
            return
        self._count = max(self._count + 1, 2 if number == SIGQUIT else 1)
        if self._count >= _LAST_COUNT or self._loop.is_closed():
            self._leave(Signals(number))
        if number == SIGQUIT:  # counts as a first and a second signal
            self._soon(self._stop, Signals(number))
        self._soon(self._stop, Signals(number))
        blocking = self._calls.blocking()
        if blocking is None:
            return
        if self._count == 1:
            say_at_once(f"hsup is blocked: {blocking}")
        else:
            say_at_once(f"interrupting what blocks hsup: {blocking}")
            self._interrupt_later_ones()
            self._calls.interrupt()

    def _interrupt_later_ones(self) -> None:
        """Limit later blocking calls to the time that a cancelled call has."""
        signal.signal(signal.SIGALRM, lambda *_: self._calls.interrupt())
        signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS, LAST_SECONDS)

    def _soon(self, act: Callable[..., object], *given: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *given)

    def _resize_later(self) -> None:
        """Act on a change of the window once it is over: while it is drawn, there are many."""
        if self._resizing is not None:
            self._resizing.cancel()
        self._resizing = self._loop.call_later(_RESIZE_SECONDS, self._resize)

    def _hang_up(self) -> None:
        if not (self._needs_terminal and not _has_terminal()):
            self._reload()
        elif not self._count:  # SIGHUP comes twice, from the kernel and from the shell
            self._count = 1
            self._stop(SIGHUP)

    def _ignore(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number not in self._ignored:
            self._ignored.add(number)
            self._soon(logger.warning, "ignored %s", _name(number))


def _do_nothing() -> None:
    """Do nothing: the signal that woke the event loop is already handled."""


def _name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
