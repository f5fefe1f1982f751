"""The scripts for containers, executed in a pid namespace instead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from hsup_driver_docker.containers import inside

#: An init that begins its program when it is told to, as one on a busy machine does late, and
#: that says how that ended. It stays until it is killed: with it everything else would be, also
#: a script that has signalled and not said so yet.
_INIT = """
import os, subprocess, sys
print("up", flush=True)
sys.stdin.readline()
child = subprocess.Popen(["sleep", "20"])
print(child.wait(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def late_init() -> Iterator[subprocess.Popen[str]]:
    """A process 1 that has not started its program."""
    if os.geteuid() != 0:
        pytest.skip("only root makes namespaces")
    words = ("unshare", "--pid", "--mount-proc", "--fork", "--kill-child", sys.executable, "-c")
    with subprocess.Popen(
        (*words, _INIT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as init:
        assert init.stdout.readline() == "up\n"
        yield init
        init.kill()


def executed(init: subprocess.Popen[str], body: Mapping[str, Any]) -> subprocess.Popen[str]:
    """Execute a script as an engine would, next to process 1."""
    with open(f"/proc/{init.pid}/task/{init.pid}/children", encoding="ascii") as file:
        pid = file.read().split()[0]
    words = ("nsenter", "--target", pid, "--pid", "--mount", *body["Cmd"])
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("script", [inside.signal_all, inside.end_all])
def test_a_signal_waits_for_the_program_to_begin(
    late_init: subprocess.Popen[str], script: Callable[..., Any]
) -> None:
    with executed(late_init, script(signal.SIGTERM)) as sent:
        assert sent.poll() is None
        print("begin", file=late_init.stdin, flush=True)
        assert sent.stdout.readline() == "told\n"
        assert late_init.stdout.readline() == f"{-signal.SIGTERM}\n"


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGRTMIN + 5, signal.SIGRTMAX])
def test_any_signal_may_be_sent_by_its_number(
    late_init: subprocess.Popen[str], number: signal.Signals | int
) -> None:
    print("begin", file=late_init.stdin, flush=True)
    with executed(late_init, inside.signal_all(number)) as sent:
        assert sent.stdout.readline() == "told\n"
        assert late_init.stdout.readline() == f"{-number}\n"


def test_a_signal_to_a_command_that_has_not_begun_is_not_told_as_sent(
    late_init: subprocess.Popen[str],
) -> None:
    with executed(late_init, inside.signal_marked(signal.SIGTERM, inside.new_mark())) as sent:
        assert sent.stdout.read() == ""
