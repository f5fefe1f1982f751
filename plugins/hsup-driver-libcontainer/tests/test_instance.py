from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup_driver_libcontainer.instance import FIRST_BYTE, Instance, dead


def killed(folder: str, *, before: Callable[[Instance], object] = lambda _: None) -> str:
    """Return the id of an hsup that was killed; `before` is called in it."""
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        instance = Instance(folder)
        before(instance)
        os.write(tell, instance.id.encode())
        signal.pause()
        os._exit(0)
    os.close(tell)
    name = os.read(told, 100).decode()
    os.close(told)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return name


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)


def test_hsups_that_live_are_not_dead(folder):
    one, other = Instance(folder), Instance(folder)
    assert one.id != other.id
    assert list(dead(folder)) == []
    for each in (one, other):
        each.forget()
        each.close()
    assert os.listdir(f"{folder}/instances") == []


def test_a_killed_hsup_is_dead_once(folder):
    name = killed(folder)
    living = Instance(folder)
    assert list(dead(folder)) == [name]
    assert list(dead(folder)) == []
    living.forget()
    living.close()


def test_the_processes_of_a_killed_hsup_are_waited_for(folder):
    start, started = os.pipe()

    def leave_process(_):
        if not os.fork():
            os.read(start, 1)
            os._exit(0)

    name = killed(folder, before=leave_process)
    path = f"{folder}/instances/{name}"
    with open(path, "r+b") as file, pytest.raises(BlockingIOError):
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, FIRST_BYTE)
    os.write(started, b".")
    deadline = time.monotonic() + 10
    while not (found := list(dead(folder))):  # it has all descriptors of the killed one here
        assert time.monotonic() < deadline
    assert found == [name]
    assert not os.path.exists(path)
    os.close(start)
    os.close(started)


def test_a_folder_that_nobody_has_used_has_no_dead(folder):
    assert list(dead(f"{folder}/none")) == []


def test_one_that_cannot_be_made_leaves_nothing(folder, descriptors_left):
    os.mkdir(f"{folder}/instances", 0o700)
    with descriptors_left(1), pytest.raises(OSError, match="Too many open files"):
        Instance(folder)
    assert os.listdir(f"{folder}/instances") == []
