"""Act as process 1 where hsup was started as process 1: fork hsup, and reap orphans.

A process that loses its parent becomes a child of process 1, which has to wait for it; and
the kernel delivers to process 1 only signals that it has a handler for (man 7 pid_namespaces).
If hsup itself reaped orphans, it would take the statuses of its own children from the code
that waits for them. So process 1 does nothing else.
"""

from __future__ import annotations

import os
import signal
from signal import (
    SIG_BLOCK,
    SIG_SETMASK,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGINT,
    SIGQUIT,
    SIGSEGV,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGWINCH,
)
from typing import NoReturn

#: Signals that a process causes itself, and that would stop process 1 at its terminal.
_OWN = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTTIN, SIGTTOU}
#: Signals that a terminal sends to the whole process group, hsup included.
_TO_GROUP = {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH}
#: si_code of a signal that the kernel sent (man 2 sigaction).
_SI_KERNEL = 0x80


def fork_below() -> None:
    """Fork, and return in the child; process 1 exits with the child's status.

    Raises OSError if the fork fails.
    """
    waited_for = signal.valid_signals() - _OWN
    old_mask = signal.pthread_sigmask(SIG_BLOCK, waited_for)
    child = os.fork()
    if child:
        _serve(child, waited_for)
    signal.pthread_sigmask(SIG_SETMASK, old_mask)


def _serve(child: int, signals: set[signal.Signals]) -> NoReturn:
    """Reap orphans, and pass signals on, until the child has ended."""
    _reap(child)  # no SIGCHLD comes for those that ended before it was blocked
    while True:
        arrived = signal.sigwaitinfo(signals)
        if arrived.si_signo == SIGCHLD:
            _reap(child)
        elif arrived.si_code != _SI_KERNEL or arrived.si_signo not in _TO_GROUP:
            os.kill(child, arrived.si_signo)


def _reap(child: int) -> None:
    """Wait for all children that have ended; exit with the status of `child` if it has."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if not pid:
            return
