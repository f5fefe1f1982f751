"""hsup's own streams, terminal and signals while it runs one dyno in the foreground."""

from __future__ import annotations

import fcntl
import math
import os
import select
import signal
import termios
import time
import tty
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, NamedTuple

#: The signals that are passed on to the processes of a dyno.
FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    # These would otherwise end hsup, but not the dyno.
    signal.SIGALRM,
    signal.SIGIO,
    signal.SIGPROF,
    signal.SIGPWR,
    signal.SIGSTKFLT,
    signal.SIGVTALRM,
    signal.SIGXCPU,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
#: The signals that end a dyno, after a grace period.
ENDING = (signal.SIGHUP, signal.SIGTERM)
#: The signals that end the grace period; not SIGHUP, which the kernel and the shell both send.
HURRYING = (signal.SIGTERM,)


#: Two signals closer together count as one: `timeout` and `sudo` send one to the process and
#: one to its group, and so do a terminal and a wrapper. On a busy machine, a fifth of a second
#: may pass between the two; who types ^C again on purpose looks first.
REPEAT_SECONDS = 0.5
_STOPPING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Repeats:
    """Recognizes a signal to stop that was sent twice for one purpose.

    The second one may arrive while a handler still asks about the first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[int, float] = {}
        self._asking: dict[int, Lock] = {number: Lock() for number in _STOPPING}

    def is_one(self, number: int) -> bool:
        """Tell whether a received signal repeats the last one with its number."""
        asking = self._asking.get(number)
        if asking is None:
            return False
        if not asking.acquire(blocking=False):
            return True
        try:
            now = self._clock()
            is_one = now - self._last.get(number, -math.inf) < REPEAT_SECONDS
            if not is_one:
                self._last[number] = now
        finally:
            asking.release()
        return is_one


class WindowSize(NamedTuple):
    """The size of a terminal's window, in characters."""

    rows: int
    columns: int


def open_streams() -> list[int]:
    """Return hsup's standard streams; open /dev/null for those that are closed."""
    streams = []
    for stream in (0, 1, 2):
        try:
            os.fstat(stream)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # takes the lowest free number
        streams.append(stream)
    return streams


def window_size(terminal: int) -> WindowSize:
    """Return the window size of a terminal. Raises OSError."""
    size = os.get_terminal_size(terminal)
    return WindowSize(size.lines, size.columns)


def is_foreground(stream: int = 0) -> bool:
    """Tell whether hsup, and not another job, is in the foreground of the terminal."""
    try:
        return os.tcgetpgrp(stream) == os.getpgrp()
    except OSError:  # no session has the terminal
        return True


@contextmanager
def raw_mode() -> Iterator[None]:
    """Pass every key to the dyno, ^C and ^D too; standard input has to be a terminal."""
    if not is_foreground():
        yield
        return
    modes = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSADRAIN)  # keeps what was typed ahead, for the dyno
    try:
        yield
    finally:
        with suppress(termios.error):  # it was closed
            termios.tcsetattr(0, termios.TCSADRAIN, modes)


@contextmanager
def flags_kept(streams: Iterable[int] = (0, 1, 2)) -> Iterator[Callable[[], None]]:
    """Yield what restores the flags of hsup's streams; also done at the end of the block.

    The flags belong to the open file, which hsup and the dyno share with the caller's shell: a
    program that makes its output non-blocking, as Node does, would change it for all of them.
    """
    saved = {stream: fcntl.fcntl(stream, fcntl.F_GETFL) for stream in streams}

    def restore() -> None:
        for stream, flags in saved.items():
            if fcntl.fcntl(stream, fcntl.F_GETFL) != flags:
                fcntl.fcntl(stream, fcntl.F_SETFL, flags)

    try:
        yield restore
    finally:
        restore()


def write_all(stream: int, data: bytes | memoryview) -> None:
    """Write all data, however long that takes."""
    while data:
        try:
            data = data[os.write(stream, data) :]
        except BlockingIOError:  # another process made it non-blocking
            room = select.poll()
            room.register(stream, select.POLLOUT)
            room.poll()


@contextmanager
def signals_woken() -> Iterator[int]:
    """Yield a pipe that receives the numbers of signals; ignored signals stay ignored.

    So no signal ends hsup before it has restored the terminal and released what it holds, or
    before it has reported an error: after an exception, call `end_by_signals`.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    handlers: dict[int, Any] = {}
    for number in (*FORWARDED, signal.SIGWINCH):
        if signal.getsignal(number) != signal.SIG_IGN:
            handlers[number] = signal.signal(number, _wake_up)
    try:
        yield woken
        for number, handler in handlers.items():
            signal.signal(number, handler)
    finally:
        signal.set_wakeup_fd(-1)
        os.close(woken)
        os.close(wake)


def end_by_signals() -> None:
    """Let signals end hsup again that `signals_woken` left handled after an exception."""
    for number in (*FORWARDED, signal.SIGWINCH):
        if signal.getsignal(number) is _wake_up:
            signal.signal(number, signal.SIG_DFL)


def hears_hang_ups() -> bool:
    """Tell whether hsup stops when its terminal hangs up: under nohup it ignores that."""
    return signal.getsignal(signal.SIGHUP) != signal.SIG_IGN


def _wake_up(number: int, frame: object) -> None:
    """Do nothing: the number of the signal is in the wake-up pipe already."""
