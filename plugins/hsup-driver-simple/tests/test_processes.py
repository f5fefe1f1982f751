"""Processes of previous hsups are swept, those of running ones are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from hsup_driver_simple import mark, processes

#: Starts a marked process that detaches itself, tells its mark, and ends.
DEAD_HSUP = """
import os
from hsup_driver_simple.mark import Marks, children_get
mark = Marks().next()
with children_get(mark, 512):
    pid = os.posix_spawn("/bin/bash", ["bash", "-c", LINE], dict(os.environ))
os.write(1, b"%d\\n" % mark)
os.waitpid(pid, 0)
"""


def hsup_that_dies(
    line: str = "echo ready; exec setsid sleep 600 >/dev/null",
) -> tuple[subprocess.Popen[bytes], int]:
    """Return the process of an hsup, and the mark of the dyno that it has just started."""
    code = DEAD_HSUP.replace("LINE", repr(line))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    said = {child.stdout.readline(), child.stdout.readline()}
    child.stdout.close()
    (made,) = said - {b"ready\n"}
    return child, int(made)


@pytest.fixture
def living() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    child, made = hsup_that_dies()
    yield child, made
    child.kill()
    child.wait()
    processes.clear(made, None, 0)


def running(made: int) -> set[int]:
    return {pid for pid in processes.Snapshot().members(made) if mark.is_running(pid)}


def test_sweep_leaves_the_processes_of_a_living_hsup_alone(
    living: tuple[subprocess.Popen[bytes], int],
) -> None:
    _, made = living
    processes.sweep()
    assert running(made)


def test_sweep_ends_the_processes_of_an_hsup_that_was_killed(
    living: tuple[subprocess.Popen[bytes], int],
) -> None:
    child, made = living
    pids = running(made)
    child.kill()
    child.wait()
    told = processes.sweep()
    assert not running(made)
    assert all(any(f"process {pid}," in one for one in told) for pid in pids)


def test_sweep_kills_a_leftover_that_ignores_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_SWEEP_GRACE_SECONDS", 0.1)
    child, made = hsup_that_dies("trap '' TERM; echo ready; while :; do sleep 600; done >&2")
    child.kill()
    child.wait()
    processes.sweep()
    assert not running(made)


def test_clear_waits_as_long_as_it_is_told_before_it_kills(
    living: tuple[subprocess.Popen[bytes], int],
) -> None:
    _, made = living
    began = time.monotonic()
    processes.clear(made, None, 0.2)
    assert time.monotonic() - began >= 0.2
    assert not running(made)


def test_what_a_marked_process_starts_belongs_to_its_dyno_though_it_lost_the_mark() -> None:
    line = "(ulimit -S -x 5; echo ready; exec sleep 600) & wait"
    child, made = hsup_that_dies(line)
    snapshot = processes.Snapshot()
    assert len(snapshot.marked[made]) == 1
    assert len(snapshot.members(made)) == 2
    child.kill()
    child.wait()
    processes.sweep()
    assert not running(made)


def test_the_first_process_belongs_to_its_dyno_though_it_lost_the_mark() -> None:
    pid = os.posix_spawn("/bin/bash", ["bash", "-c", "ulimit -S -x 5; sleep 600"], {})
    made = mark.Marks().next()
    try:
        assert pid in processes.Snapshot().members(made, pid)
        assert processes.Snapshot().members(made) == set()
    finally:
        processes.clear(made, pid, 0)
        os.waitpid(pid, 0)


def test_the_dynos_of_an_hsup_in_a_dyno_belong_to_that_dyno(
    living: tuple[subprocess.Popen[bytes], int],
) -> None:
    child, made = living
    outer = mark.Marks().next()
    assert running(made) <= processes.Snapshot().members(outer, child.pid)


def test_is_running_is_false_for_a_zombie() -> None:
    read, write = os.pipe()
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert not mark.is_running(pid)
    finally:
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)


def test_parents_are_signalled_before_their_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell whose child ends first continues its script, and prints "Killed"."""
    signalled = []
    monkeypatch.setattr(os, "kill", lambda pid, _: signalled.append(pid))
    pids = {1 << 22, 4097, 8, 70_001, 64}
    assert list(pids) != sorted(pids)
    assert processes.send(pids, signal.SIGTERM) == set()
    assert signalled == sorted(pids)
