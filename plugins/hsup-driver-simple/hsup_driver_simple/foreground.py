"""Run one dyno on hsup's own streams and terminal until it ends."""

from __future__ import annotations

import math
import os
import signal
import termios
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from signal import SIGCHLD, SIGTTOU
from typing import Any

from hsup.model import ExitStatus
from hsup.terminal import ENDING, FORWARDED, HURRYING, Repeats
from hsup_driver_simple.mark import children_get, is_running
from hsup_driver_simple.processes import LOOK_SECONDS, Snapshot, clear, send
from hsup_driver_simple.program import Program, exit_status

_SIGNALS = (SIGCHLD, *FORWARDED)

#: si_code of a signal that the kernel sent (a terminal's ^C), see man 2 sigaction.
_SI_KERNEL = 0x80


def run(program: Program, mark: int, grace_seconds: float, open_files: int) -> ExitStatus:
    """Run a program until it has ended and none of its processes is left.

    `open_files` is its soft open-file limit. The program shares hsup's process group,
    so that the terminal's ^C and ^Z reach it, and a shell can do job control. A signal
    that is sent to hsup alone is passed on to every process; SIGTERM and SIGHUP begin the
    grace period, and another SIGTERM ends it.
    """
    terminal = _Terminal()
    with _signals_waiting() as signals:
        with children_get(mark, open_files):
            pid = program.spawn(session=False)
        _relay_signals(signals, pid, mark, grace_seconds)
        clear(mark, pid, 0.0)
        status = exit_status(os.waitpid(pid, 0)[1])
        terminal.take_back(restore_modes=status.signal is not None)
    return status


def _relay_signals(signals: Collection[int], pid: int, mark: int, grace_seconds: float) -> None:
    """Pass signals on until the program has ended; after SIGTERM or SIGHUP, all its processes.

    Returns at the end of the grace period at the latest.
    """
    deadline = math.inf
    repeats = Repeats()
    while time.monotonic() < deadline:
        has_ended = _has_ended(pid)
        if has_ended and (deadline == math.inf or not _is_any_running(mark)):
            break
        left = max(0.0, deadline - time.monotonic())
        arrived = signal.sigtimedwait(signals, min(left, LOOK_SECONDS if has_ended else 3600))
        if arrived is None or arrived.si_signo == SIGCHLD or repeats.is_one(arrived.si_signo):
            continue
        if arrived.si_code != _SI_KERNEL:
            _signal_all(pid, mark, arrived.si_signo)
        if arrived.si_signo in ENDING and deadline == math.inf:
            deadline = time.monotonic() + grace_seconds
        elif arrived.si_signo in HURRYING:
            deadline = time.monotonic()


def _is_any_running(mark: int) -> bool:
    return any(map(is_running, Snapshot().members(mark)))


def _signal_all(pid: int, mark: int, number: int) -> None:
    """Send a signal once to every process, including those that are forked meanwhile."""
    signalled: set[int] = set()
    while fresh := Snapshot().members(mark, None if _has_ended(pid) else pid) - signalled:
        send(fresh, number)
        signalled |= fresh


def _has_ended(pid: int) -> bool:
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, options) is not None


@contextmanager
def _signals_waiting() -> Iterator[Collection[int]]:
    """Block signals, so that they stay pending instead of ending hsup; yield their numbers.

    Signals that hsup was started to ignore are left out.
    """
    signals = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield signals
    finally:
        while signal.sigtimedwait(signals, 0):
            pass  # too late for the program, and it must not end hsup
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Terminal:
    """The terminal that hsup was started from, if it was in its foreground."""

    def __init__(self) -> None:
        self._modes: list[Any] | None = None
        try:
            if os.tcgetpgrp(0) == os.getpgrp():
                self._modes = termios.tcgetattr(0)
        except (OSError, termios.error):  # standard input is not a terminal
            pass

    def take_back(self, *, restore_modes: bool) -> None:
        """Return to the foreground, unless the user's shell or another job is there.

        With `restore_modes`, undo the raw mode of a program that was killed.
        """
        if self._modes is None:
            return
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [SIGTTOU])
        try:
            if not _is_left_behind(os.tcgetpgrp(0)):
                return
            os.tcsetpgrp(0, os.getpgrp())
            if restore_modes:
                termios.tcsetattr(0, termios.TCSADRAIN, self._modes)
        except (OSError, termios.error):  # it was closed meanwhile
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _is_left_behind(group: int) -> bool:
    """Tell whether a process group is hsup's own, or has no processes left."""
    if group == os.getpgrp():
        return True
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
