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
from typing import Any, NamedTuple

#: What is passed on to the processes of a dyno.
FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    # What else would end hsup, and leave the dyno alone.
    signal.SIGALRM,
    signal.SIGIO,
    signal.SIGPROF,
    signal.SIGPWR,
    signal.SIGSTKFLT,
    signal.SIGVTALRM,
    signal.SIGXCPU,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
#: What ends a dyno, after a grace.
ENDING = (signal.SIGHUP, signal.SIGTERM)
#: What ends the grace too: SIGHUP comes twice, from the kernel and from the shell.
HURRYING = (signal.SIGTERM,)


#: Closer together, two signals are one: `timeout` and `sudo` send one to the process and one
#: to its group, as a terminal and a wrapper do; nobody types that fast.
REPEAT_SECONDS = 0.2
_STOPPING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Repeats:
    """Tells a signal to stop that was sent twice from two signals."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[int, float] = {}

    def is_one(self, number: int) -> bool:
        """Tell whether a signal that has come is one with the last of its kind."""
        if number not in _STOPPING:
            return False
        now = self._clock()
        is_one = now - self._last.get(number, -math.inf) < REPEAT_SECONDS
        if not is_one:
            self._last[number] = now
        return is_one


class WindowSize(NamedTuple):
    """Of a terminal's window, in characters."""

    rows: int
    columns: int


def open_streams() -> list[int]:
    """Return hsup's standard streams; one that is closed is /dev/null."""
    streams = []
    for stream in (0, 1, 2):
        try:
            os.fstat(stream)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # takes the lowest free number
        streams.append(stream)
    return streams


def window_size(terminal: int) -> WindowSize:
    """Return how large the window of a terminal is."""
    size = os.get_terminal_size(terminal)
    return WindowSize(size.lines, size.columns)


def is_foreground() -> bool:
    """Tell whether the terminal is ours to use, and not another job's."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # it is nobody's
        return True


@contextmanager
def raw_mode() -> Iterator[None]:
    """Let each key that is typed go to the dyno, ^C and ^D too; standard input is a terminal."""
    if not is_foreground():
        yield
        return
    modes = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSADRAIN)  # what was typed ahead is for the dyno
    try:
        yield
    finally:
        with suppress(termios.error):  # it was closed
            termios.tcsetattr(0, termios.TCSADRAIN, modes)


@contextmanager
def flags_kept(streams: Iterable[int] = (0, 1, 2)) -> Iterator[None]:
    """Have the flags of hsup's streams at the end as they were at the beginning.

    They belong to the open file, which hsup and the dyno share with the caller's shell: a
    program that makes its output non-blocking, as Node does, would leave it to all others so.
    """
    before = {stream: fcntl.fcntl(stream, fcntl.F_GETFL) for stream in streams}
    try:
        yield
    finally:
        for stream, flags in before.items():
            if fcntl.fcntl(stream, fcntl.F_GETFL) != flags:
                fcntl.fcntl(stream, fcntl.F_SETFL, flags)


def write_all(stream: int, data: bytes | memoryview) -> None:
    """Write all of it, however long that takes."""
    while data:
        try:
            data = data[os.write(stream, data) :]
        except BlockingIOError:  # somebody has made it non-blocking
            room = select.poll()
            room.register(stream, select.POLLOUT)
            room.poll()


@contextmanager
def signals_woken() -> Iterator[int]:
    """Have the numbers of signals in a pipe; those that hsup was told to ignore stay ignored.

    So none of them ends hsup while it has something to give back, nor before it has said what
    went wrong: after an exception `end_by_signals` is to be called.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    before: dict[int, Any] = {}
    for number in (*FORWARDED, signal.SIGWINCH):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, _wake_up)
    try:
        yield woken
        for one, handler in before.items():
            signal.signal(one, handler)
    finally:
        signal.set_wakeup_fd(-1)
        os.close(woken)
        os.close(wake)


def end_by_signals() -> None:
    """Have signals end hsup again, where they were only woken for."""
    for one in (*FORWARDED, signal.SIGWINCH):
        if signal.getsignal(one) is _wake_up:
            signal.signal(one, signal.SIG_DFL)


def hears_hang_ups() -> bool:
    """Tell whether the end of its terminal is anything to hsup: nohup has it ignored."""
    return signal.getsignal(signal.SIGHUP) != signal.SIG_IGN


def _wake_up(number: int, frame: object) -> None:
    """Be called for a signal; its number is in the wake-up pipe already."""
