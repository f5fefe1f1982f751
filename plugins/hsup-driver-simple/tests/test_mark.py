"""Marks survive whatever a program does to detach itself."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hsup_driver_simple import mark, processes


@pytest.fixture
def a_mark() -> Iterator[int]:
    made = mark.Marks().next()
    yield made
    processes.clear(made, None, 0)


def start(a_mark: int, *words: str) -> int:
    with mark.children_get(a_mark, 512):
        return os.posix_spawn(words[0], words, dict(os.environ))


def test_marks_of_one_hsup_differ_and_have_the_same_owner() -> None:
    marks = mark.Marks()
    made = [marks.next() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert len({mark.owner_of(one) for one in made}) == 1
    assert all(mark.is_mark(one) for one in made)


@pytest.mark.parametrize("limit", [0, 1, 1024, 2**32, 2**62, 2**63 - 1, -1])
def test_an_ordinary_limit_is_no_mark(limit: int) -> None:
    assert not mark.is_mark(limit)


def test_the_owner_of_a_mark_made_here_is_alive() -> None:
    assert mark.owner_is_alive(mark.Marks().next())


def test_the_owner_of_a_mark_made_by_a_process_that_ended_is_not() -> None:
    code = "from hsup_driver_simple.mark import Marks; print(Marks().next())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert mark.is_mark(int(made))
    assert not mark.owner_is_alive(int(made))


def test_a_detached_grandchild_without_environment_carries_the_mark(a_mark: int) -> None:
    line = "setsid env -i /bin/sh -c 'exec /bin/sleep 600 >/dev/null 2>&1 </dev/null' & echo"
    os.waitpid(start(a_mark, "/bin/bash", "-c", line), 0)
    assert len(processes.Snapshot().members(a_mark)) == 1


def test_children_get_leaves_the_limits_of_this_process_alone(a_mark: int) -> None:
    before = resource.getrlimit(mark.RLIMIT_LOCKS), resource.getrlimit(resource.RLIMIT_NOFILE)
    pid = start(a_mark, "/bin/true")
    os.waitpid(pid, 0)
    after = resource.getrlimit(mark.RLIMIT_LOCKS), resource.getrlimit(resource.RLIMIT_NOFILE)
    assert before == after


def test_children_get_limits_the_open_files_of_the_child_only(a_mark: int) -> None:
    read, write = os.pipe()
    limit = write + 1  # what is given to the child has to be below it (posix_spawn of glibc)
    with mark.children_get(a_mark, limit):
        actions = [(os.POSIX_SPAWN_DUP2, write, 1)]
        argv = ["bash", "-c", "ulimit -Sn"]
        pid = os.posix_spawn("/bin/bash", argv, {}, file_actions=actions)
    os.close(write)
    with open(read) as said:
        assert said.read() == f"{limit}\n"
    os.waitpid(pid, 0)
