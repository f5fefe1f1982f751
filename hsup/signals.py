"""What hsup does when it is sent a signal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, SIGUSR1, Signals, getsignal


def install(
    *,
    stop: Callable[[Signals], None],
    reload: Callable[[], None],
    dump: Callable[[], None],
) -> None:
    """Handle signals on the running loop.

    SIGINT and SIGTERM stop, SIGHUP reloads, SIGUSR1 dumps the diagnostic log.
    A SIGHUP that came because the terminal is gone stops, as nobody could do
    so from there any more, unless hsup was started with nohup.
    """
    loop = asyncio.get_running_loop()
    needs_terminal = _has_terminal() and getsignal(SIGHUP) != SIG_IGN

    def hang_up() -> None:
        if needs_terminal and not _has_terminal():
            stop(SIGHUP)
        else:
            reload()

    for number in (SIGINT, SIGTERM):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(SIGHUP, hang_up)
    loop.add_signal_handler(SIGUSR1, dump)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
