"""Run one dyno on hsup's own streams and terminal, to its end."""

from __future__ import annotations

import os
import resource
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTOU, SIGUSR1, SIGUSR2
from typing import Any

from hsup.model import ExitStatus
from hsup_driver_simple.mark import children_get
from hsup_driver_simple.processes import clear, members, send
from hsup_driver_simple.program import Program, exit_status

_SIGNALS = (SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2)
_ENDING = (SIGHUP, SIGTERM)

#: si_code of a signal that the kernel sent (a terminal's ^C), see man 2 sigaction.
_SI_KERNEL = 0x80


def run(program: Program, mark: int, grace_seconds: float) -> ExitStatus:
    """Run a program until it has ended and nothing that it started is left.

    It shares hsup's process group, so that the terminal's ^C and ^Z reach it,
    and a shell can do job control. A signal that somebody sends to hsup alone
    is passed on to every process; after SIGTERM or SIGHUP they have
    `grace_seconds`.
    """
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    terminal = _Terminal()
    with _signals_waiting():
        with children_get(mark, open_files):
            pid = program.spawn(session=False)
        deadline = _relay_signals(pid, mark, grace_seconds)
        clear(mark, max(0.0, deadline - time.monotonic()))
        status = exit_status(os.waitpid(pid, 0)[1])
        terminal.take_back(restore_modes=status.signal is not None)
    return status


def _relay_signals(pid: int, mark: int, grace_seconds: float) -> float:
    """Pass signals on until the program has ended, or has been given its time.

    Returns until when the program's other processes may go on.
    """
    deadline: float | None = None
    while not _has_ended(pid):
        left = 3600.0 if deadline is None else deadline - time.monotonic()
        if left <= 0:
            break
        arrived = signal.sigtimedwait(_SIGNALS, left)
        if arrived is None or arrived.si_signo == SIGCHLD or arrived.si_code == _SI_KERNEL:
            continue
        send(members(mark), mark, arrived.si_signo)
        if arrived.si_signo in _ENDING and deadline is None:
            deadline = time.monotonic() + grace_seconds
    return deadline or 0.0


def _has_ended(pid: int) -> bool:
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, options) is not None


@contextmanager
def _signals_waiting() -> Iterator[None]:
    """Let signals wait until they are asked for, instead of ending hsup."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Terminal:
    """The terminal that hsup was started from, if it was in its foreground."""

    def __init__(self) -> None:
        self._modes: list[Any] | None = None
        try:
            if os.tcgetpgrp(0) == os.getpgrp():
                self._modes = termios.tcgetattr(0)
        except (OSError, termios.error):  # standard input is no terminal
            pass

    def take_back(self, *, restore_modes: bool) -> None:
        """Be in the foreground again; after a program that was killed, undo its raw mode."""
        if self._modes is None:
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [SIGTTOU])
        try:
            os.tcsetpgrp(0, os.getpgrp())
            if restore_modes:
                termios.tcsetattr(0, termios.TCSADRAIN, self._modes)
        except (OSError, termios.error):  # it was closed meanwhile
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
