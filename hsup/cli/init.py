"""Be process 1 for hsup, where that is what hsup was started as.

Whatever loses its parent becomes a child of process 1, which has to wait for it; and the
kernel keeps from process 1 each signal that it has no handler for (man 7 pid_namespaces).
To do so in hsup itself would take the statuses of its own children away from what waits
for them, so that process 1 does nothing else.
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

#: What a process does to itself, and what would stop process 1 at its terminal.
_OWN = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTTIN, SIGTTOU}
#: What a terminal sends to all of the process group that hsup is in, too.
_TO_GROUP = {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH}
#: si_code of a signal that the kernel sent (man 2 sigaction).
_SI_KERNEL = 0x80


def fork_below() -> None:
    """Return in a child of process 1, which ends with the child and as it did.

    Raises OSError where nothing can be forked.
    """
    waited_for = signal.valid_signals() - _OWN
    before = signal.pthread_sigmask(SIG_BLOCK, waited_for)
    child = os.fork()
    if child:
        _serve(child, waited_for)
    signal.pthread_sigmask(SIG_SETMASK, before)


def _serve(child: int, signals: set[signal.Signals]) -> NoReturn:
    """Reap orphans, and pass signals on, until the child has ended."""
    _reap(child)  # of those that ended before SIGCHLD was waited for, nobody is told again
    while True:
        arrived = signal.sigwaitinfo(signals)
        if arrived.si_signo == SIGCHLD:
            _reap(child)
        elif arrived.si_code != _SI_KERNEL or arrived.si_signo not in _TO_GROUP:
            os.kill(child, arrived.si_signo)


def _reap(child: int) -> None:
    """Wait for all that has ended; end as the child did, if it has."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if not pid:
            return
