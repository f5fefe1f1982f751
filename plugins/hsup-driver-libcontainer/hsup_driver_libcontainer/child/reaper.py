"""Wait for processes, and do with them what hsup says.

All that is waited for comes as a signal, hsup's messages too: so this is one call of
the kernel, and needs next to no memory, which the first process of every dyno would
have for itself.
"""

from __future__ import annotations

import fcntl
import os
import signal

from hsup_driver_libcontainer.child import protocol
from hsup_driver_libcontainer.child.protocol import FORWARDED, Exited, Signal

_MESSAGE_BYTES = 4096
_AWAITED = {signal.SIGCHLD, signal.SIGIO, *FORWARDED}


def await_signals() -> None:
    """Let the signals that `serve` acts on wait for it; who is forked inherits that."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)


def take_signals() -> None:
    """Be a process that signals act on as on any other, also those that have waited."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def have_children() -> None:
    """Have children that are waited for, whatever the caller does with its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def serve(channel: int, program: int, target: int) -> None:
    """Reap, forward and obey, until hsup or every child is gone.

    `await_signals` and `have_children` were called before the first child was forked.
    `channel` is a descriptor of a socket to hsup, `program` the child whose end hsup is
    told, and `target` whom signals are for, as in man 2 kill.
    """
    fcntl.fcntl(channel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(channel, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    _obey(channel, target)  # what hsup has said before
    while _reap(channel, program):
        number = signal.sigwaitinfo(_AWAITED).si_signo
        if number in FORWARDED:
            _signal(target, number)
        # Whatever it was: SIGIO comes after all others, and a dyno can send those for ever.
        _obey(channel, target)


def _reap(channel: int, program: int) -> bool:
    """Collect who has ended, and tell hsup; tell whether anybody is left."""
    told = None
    is_anybody_left = True
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == program:
                told = ended[1]
    except ChildProcessError:
        is_anybody_left = False
    if told is not None:
        os.write(channel, protocol.packet(Exited(told, not is_anybody_left)))
    return is_anybody_left


def _obey(channel: int, target: int) -> None:
    """Do all that hsup has said."""
    try:
        while packet := os.read(channel, _MESSAGE_BYTES):
            message = protocol.message(packet)
            if isinstance(message, Signal):
                _signal(target, message.number)
    except BlockingIOError:
        return
    except ConnectionResetError:  # it has not read all that was said
        pass
    os._exit(1)  # hsup is no more


def _signal(target: int, number: int) -> None:
    try:
        os.kill(target, number)
    except ProcessLookupError:
        pass  # there is none
