"""`run` passes signals on, and ends with the status of its program."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from hsup.terminal import REPEAT_SECONDS
from hsup_driver_simple.mark import is_running

#: Runs a line as hsup would, and ends with its status.
RUN = """
import resource
import sys
from hsup_driver_simple import foreground
from hsup_driver_simple.mark import Marks
from hsup_driver_simple.program import Program
line, grace = sys.argv[1], float(sys.argv[2])
environment = {"PATH": "/usr/bin:/bin"}
program = Program(path="/bin/bash", argv=("bash", "-c", line), environment=environment)
open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
sys.exit(foreground.run(program, Marks().next(), grace, open_files).status)
"""


def run(line: str, grace: float = 10.0, **options: Any) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", RUN, line, str(grace)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, **options)


@pytest.mark.parametrize(
    ("line", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("nosuch", 127)]
)
def test_the_status_is_the_programs(line: str, status: int) -> None:
    with run(line, stderr=subprocess.DEVNULL) as started:
        assert started.wait(60) == status


def test_what_the_program_leaves_running_is_ended() -> None:
    with run("setsid sleep 600 & echo $!") as started:
        pid = int(started.stdout.readline())
        assert started.wait(60) == 0
        assert not is_running(pid)


def test_a_signal_is_passed_on() -> None:
    with run("sleep 600 & trap 'exit 7' TERM; echo ready; wait") as started:
        started.stdout.readline()
        started.terminate()
        assert started.wait(60) == 7


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGQUIT,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGRTMIN,
        signal.SIGRTMIN + 5,
        signal.SIGRTMAX,
    ],
)
def test_a_signal_that_would_end_hsup_is_the_programs(number: signal.Signals | int) -> None:
    with run(f"sleep 600 & trap 'exit 7' {int(number)}; echo ready; wait") as started:
        started.stdout.readline()
        started.send_signal(number)
        assert started.wait(60) == 7


def test_after_the_grace_the_program_is_killed() -> None:
    with run("trap '' TERM; echo ready; while :; do sleep 600; done", grace=0.1) as started:
        started.stdout.readline()
        started.terminate()
        assert started.wait(60) == 137


def test_a_second_signal_ends_the_grace_and_the_status_is_still_the_programs() -> None:
    line = "trap 'echo told; exit 7' TERM; "
    line += "(trap '' TERM; echo ready; while :; do sleep 600; done) & wait"
    with run(line, grace=600.0) as started:
        started.stdout.readline()
        started.terminate()
        assert started.stdout.readline() == b"told\n"
        time.sleep(REPEAT_SECONDS)  # or both are one
        started.terminate()
        assert started.wait(60) == 7


def test_nohup_holds_for_the_program() -> None:
    with run("kill -HUP $$; echo alive", preexec_fn=ignore_hang_up) as started:
        assert started.stdout.read() == b"alive\n"
        assert started.wait(60) == 0


def ignore_hang_up() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
