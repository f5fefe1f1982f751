"""Reap child processes, and forward hsup's signals to them.

Everything that is waited for arrives as a signal, hsup's messages too. So waiting is one
system call, and needs next to no memory, of which the first process of every dyno has its
own copy.
"""

from __future__ import annotations

import fcntl
import os
import signal

from hsup_driver_libcontainer.child import kernel, protocol
from hsup_driver_libcontainer.child.protocol import FORWARDED, Exited, Signal

_MESSAGE_BYTES = 4096
_AWAITED = {signal.SIGCHLD, signal.SIGIO, *FORWARDED}


def await_signals() -> None:
    """Block the signals that `serve` acts on until it runs; forked processes inherit that."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)


def take_signals() -> None:
    """Unblock all signals, so that pending ones act on this process as on any other."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def have_children() -> None:
    """Reset SIGCHLD, as children cannot be waited for while the caller's process ignores it."""
    kernel.reset_signal(signal.SIGCHLD)


def serve(channel: int, program: int, target: int) -> None:
    """Reap children and forward signals until hsup or every child has ended.

    `await_signals` and `have_children` were called before the first child was forked.
    `channel` is a descriptor of a socket to hsup, `program` the child whose end is
    reported to hsup, and `target` the receiver of signals, as in man 2 kill.
    """
    fcntl.fcntl(channel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(channel, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    _obey(channel, target)  # what hsup has sent before
    while _reap(channel, program):
        number = signal.sigwaitinfo(_AWAITED).si_signo
        if number in FORWARDED:
            _signal(target, number)
        # Whatever it was: SIGIO comes after the others, which a dyno can send without end.
        _obey(channel, target)


def _reap(channel: int, program: int) -> bool:
    """Reap ended children, report the program's end to hsup; tell whether a child is left."""
    status = None
    is_any_left = True
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == program:
                status = ended[1]
    except ChildProcessError:
        is_any_left = False
    if status is not None:
        os.write(channel, protocol.packet(Exited(status, not is_any_left)))
    return is_any_left


def _obey(channel: int, target: int) -> None:
    """Carry out all messages that hsup has sent so far; exit if hsup has ended."""
    try:
        while packet := os.read(channel, _MESSAGE_BYTES):
            message = protocol.message(packet)
            if isinstance(message, Signal):
                _signal(target, message.number)
    except BlockingIOError:
        return
    except ConnectionResetError:  # hsup ended before it had read everything
        pass
    os._exit(1)  # hsup has ended


def _signal(target: int, number: int) -> None:
    try:
        os.kill(target, number)
    except ProcessLookupError:
        pass  # it has ended
