"""Process 1 passes on what its child is to have, and ends as that does.

What the kernel does for process 1 alone is shown by ftest/test_init.py.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

TIMEOUT_SECONDS = 60

#: Forks, and has the child do something; a child of nobody is its own, as it is process 1's.
PROGRAM = """
import ctypes, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
from hsup.cli.process_one import fork_below
fork_below()
{child}
"""


@contextmanager
def running(child: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM.format(child=child)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("child", "status"),
    [("sys.exit(7)", 7), ("pass", 0), ("os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_it_ends_as_its_child_does(child: str, status: int) -> None:
    with running(child) as process:
        assert process.wait(TIMEOUT_SECONDS) == status


def test_signals_are_passed_on() -> None:
    child = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print("ready", flush=True)
time.sleep(600)
"""
    with running(child) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 5


def test_what_nobody_else_waits_for_is_waited_for() -> None:
    child = """
orphan = subprocess.run(["sh", "-c", "sleep 0.01 >&2 & echo $!"], stdout=subprocess.PIPE, text=True)
while os.path.exists(f"/proc/{int(orphan.stdout)}"):
    time.sleep(0.001)
print("gone")
"""
    with running(child) as process:
        assert process.communicate(timeout=TIMEOUT_SECONDS)[0] == "gone\n"
        assert process.wait(TIMEOUT_SECONDS) == 0


def test_the_child_has_the_signals_that_were_blocked_before() -> None:
    with running("print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))") as process:
        assert process.communicate(timeout=TIMEOUT_SECONDS)[0] == "set()\n"
