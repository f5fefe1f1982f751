"""hsup's own input while a dyno has it; at ^Z and fg: ftest/test_jobs.py."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Changes the modes of its input in another process group; prints whether keys are echoed.
CHANGED = """
import os, signal, sys, termios
from hsup.cli.lent_input import input_lent

os.close(os.open(os.ttyname(0), os.O_RDWR))  # becomes the terminal of this session
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if not pid:
    os.setpgid(0, 0)
    if sys.argv[1] == "foreground":
        os.tcsetpgrp(0, os.getpgrp())
    with input_lent():
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
