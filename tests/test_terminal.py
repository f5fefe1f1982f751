"""The terminal and the signals of a command in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from hsup.terminal import FORWARDED, end_by_signals, signals_woken


def test_after_a_failure_no_signal_ends_hsup_before_it_has_said_why() -> None:
    before = {one: signal.getsignal(one) for one in FORWARDED}
    try:
        with pytest.raises(ZeroDivisionError), signals_woken():
            raise ZeroDivisionError
        os.kill(os.getpid(), signal.SIGTERM)
        end_by_signals()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGRTMIN, signal.SIGRTMIN + 5, signal.SIGRTMAX])
def test_a_signal_for_real_time_wakes_and_does_not_end_hsup(number: int) -> None:
    with signals_woken() as woken:
        assert signal.getsignal(number) != signal.SIG_DFL
        os.kill(os.getpid(), number)
        assert os.read(woken, 2) == bytes([number])
    assert signal.getsignal(number) == signal.SIG_DFL


# Changes the modes while they are kept, in another process group; prints whether keys are echoed.
CHANGED = """
import os, signal, sys, termios
from hsup.terminal import modes_kept

os.close(os.open(os.ttyname(0), os.O_RDWR))  # becomes the terminal of this session
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if not pid:
    os.setpgid(0, 0)
    if sys.argv[1] == "foreground":
        os.tcsetpgrp(0, os.getpgrp())
    with modes_kept(0):
        modes = termios.tcgetattr(0)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, modes)
    os._exit(0)
os.waitpid(pid, 0)
print("echo" if termios.tcgetattr(0)[3] & termios.ECHO else "no echo")
"""


@pytest.mark.parametrize(("job", "left"), [("foreground", "echo"), ("background", "no echo")])
def test_modes_are_restored_in_the_foreground_only(job: str, left: str) -> None:
    terminal, end = os.openpty()
    command = [sys.executable, "-c", CHANGED, job]
    ended = subprocess.run(
        command, stdin=end, capture_output=True, text=True, check=True, start_new_session=True
    )
    os.close(terminal)
    os.close(end)
    assert ended.stdout == f"{left}\n"
