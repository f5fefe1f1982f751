"""Wait for processes, and do with them what hsup says."""

from __future__ import annotations

import os
import select
import signal
import socket
from functools import cache

from hsup_driver_libcontainer import messages
from hsup_driver_libcontainer.messages import FORWARDED, Exited, Signal


def listen_to_signals() -> int:
    """Return a descriptor with the numbers of the signals that come."""
    woken, wake = os.pipe()
    for descriptor in (woken, wake):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    handle_signals()
    signal.signal(signal.SIGCHLD, _wake_up)
    return woken


@cache
def handle_signals() -> None:
    """Have a handler for each signal that is forwarded.

    It does nothing unless somebody listens. Who is forked from this process has it
    already, which spares each of them a fifth of its memory.
    """
    for number in FORWARDED:
        signal.signal(number, _wake_up)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def serve(channel: socket.socket, woken: int, program: int, target: int) -> None:
    """Reap, forward and obey, until hsup or every child is gone.

    `woken` is what `listen_to_signals` returned, `program` the child whose end hsup is
    told, and `target` whom signals are for, as in man 2 kill.
    """
    poll = select.poll()
    poll.register(woken, select.POLLIN)
    poll.register(channel, select.POLLIN)
    while _reap(channel, program):
        for descriptor, _ in poll.poll():
            if descriptor != woken:
                _obey(channel, target)
                continue
            for number in os.read(woken, 4096):
                if number in FORWARDED:
                    _signal(target, number)


def _reap(channel: socket.socket, program: int) -> bool:
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
        messages.send(channel, Exited(told, not is_anybody_left))
    return is_anybody_left


def _obey(channel: socket.socket, target: int) -> None:
    received = messages.receive(channel)
    if received is None:
        os._exit(1)  # hsup is no more
    if isinstance(received.message, Signal):
        _signal(target, received.message.number)


def _signal(target: int, number: int) -> None:
    try:
        os.kill(target, number)
    except ProcessLookupError:
        pass  # there is none


def _wake_up(number: int, frame: object) -> None:
    """Be called for a signal; its number is in the wake-up pipe already."""
