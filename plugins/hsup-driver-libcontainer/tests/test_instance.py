from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hsup_driver_libcontainer.instance import FIRST_BYTE, Instance, ended


def killed(directory: str, *, before: Callable[[Instance], object] = lambda _: None) -> str:
    """Return the id of an hsup that was killed; `before` is called in it."""
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        instance = Instance(directory)
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
def directory(tmp_path: Path) -> str:
    return str(tmp_path)


def test_hsups_that_live_are_not_dead(directory: str) -> None:
    one, other = Instance(directory), Instance(directory)
    assert one.id != other.id
    assert list(ended(directory)) == []
    for each in (one, other):
        each.forget()
        each.close()
    assert os.listdir(f"{directory}/instances") == []


def test_a_killed_hsup_is_dead_once(directory: str) -> None:
    name = killed(directory)
    living = Instance(directory)
    assert list(ended(directory)) == [name]
    assert list(ended(directory)) == []
    living.forget()
    living.close()


def test_the_processes_of_a_killed_hsup_are_waited_for(directory: str) -> None:
    start, started = os.pipe()

    def leave_process(_: object) -> None:
        if not os.fork():
            os.read(start, 1)
            os._exit(0)

    name = killed(directory, before=leave_process)
    path = f"{directory}/instances/{name}"
    with open(path, "r+b") as file, pytest.raises(BlockingIOError):
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, FIRST_BYTE)
    os.write(started, b".")
    deadline = time.monotonic() + 10
    while not (found := list(ended(directory))):  # it has all descriptors of the killed one here
        assert time.monotonic() < deadline
    assert found == [name]
    assert not os.path.exists(path)
    os.close(start)
    os.close(started)


def test_a_directory_that_nobody_has_used_has_no_dead(directory: str) -> None:
    assert list(ended(f"{directory}/none")) == []


def test_one_that_cannot_be_made_leaves_nothing(
    directory: str, descriptors_left: Callable[[int], AbstractContextManager[None]]
) -> None:
    os.mkdir(f"{directory}/instances", 0o700)
    with descriptors_left(1), pytest.raises(OSError, match="Too many open files"):
        Instance(directory)
    assert os.listdir(f"{directory}/instances") == []
