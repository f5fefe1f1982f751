from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hsup.descriptors import (
    Descriptors,
    allow_many,
    children_may_open,
    shortage,
    unless_lowered,
)
from hsup.errors import DriverError, SourceError


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Set the open-file limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def set_limit(number: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))

    yield set_limit
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_the_hard_one(limit: Callable[[int], None]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit(100)
    allow_many()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


#: How many dynos can be started, each with a descriptor, in a process that has few open.
COUNT = """
import os, resource, sys
from hsup.descriptors import Descriptors
from hsup.errors import DriverError
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
try:
    while True:
        with Descriptors().for_a_start():
            last = os.open("/", os.O_PATH)
except DriverError as error:
    print(limit - 1 - last, error)
"""


@pytest.mark.parametrize(("number", "left"), [(20, 10), (64, 32), (200, 64)])
def test_what_hsup_needs_itself_is_left(number: int, left: int) -> None:
    argv = [sys.executable, "-c", COUNT, str(number)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    told = f"too few file descriptors are left to start a dyno (open-file limit {number})"
    assert done.stdout.startswith(
        f"{left} {told}; raise the open-file limit, for example ulimit -n 4096"
    )


@pytest.fixture
def take_below() -> Iterator[Callable[[int], None]]:
    """Open so many descriptors that the next one gets the given number."""
    opened: list[int] = []

    def take(number: int) -> None:
        while not opened or opened[-1] < number - 1:
            opened.append(os.open("/", os.O_PATH))

    yield take
    for descriptor in opened:
        os.close(descriptor)


def test_no_more_is_left_than_is_needed(
    limit: Callable[[int], None], take_below: Callable[[int], None]
) -> None:
    limit(1000)
    take_below(1000 - 64 - 1)
    with Descriptors().for_a_start():
        pass
    take_below(1000 - 64)
    with pytest.raises(DriverError):
        Descriptors().for_a_start().__enter__()


def test_dynos_that_are_being_started_count(
    limit: Callable[[int], None], take_below: Callable[[int], None]
) -> None:
    descriptors = Descriptors()
    limit(1000)
    take_below(1000 - 64 - 8 * 3)
    with ExitStack() as starting:
        for _ in range(3):
            starting.enter_context(descriptors.for_a_start())
        with pytest.raises(DriverError):
            starting.enter_context(descriptors.for_a_start())
    with descriptors.for_a_start():
        pass


def test_that_none_is_left_at_all_is_the_same(limit: Callable[[int], None]) -> None:
    limit(3)
    with pytest.raises(DriverError, match="ulimit -n"):
        Descriptors().for_a_start().__enter__()


def test_a_shortage_is_told_with_the_file() -> None:
    error = OSError(errno.EMFILE, "Too many open files", "/proc")
    assert shortage(error) == 'cannot open "/proc": too many open files'
    assert shortage(OSError(errno.ENFILE, "Too many open files")) == "too many open files"
    assert shortage(OSError(errno.EACCES, "Permission denied", "/proc")) is None


def test_the_cause_of_an_error_may_be_a_shortage() -> None:
    error = SourceError("cannot read it")
    assert shortage(error) is None
    error.__cause__ = error
    assert shortage(error) is None
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    assert shortage(error) == "too many open files"


class Shortage:
    """Work that fails a number of times because too many files are open."""

    def __init__(self, times: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.left = times
        self.meanwhile = meanwhile

    def __call__(self) -> str:
        self.meanwhile()
        self.left -= 1
        if self.left >= 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return "done"


def lower() -> None:
    with children_may_open(64):
        pass


def test_the_limit_of_children_is_this_processs_own_for_no_longer_than_the_block() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with children_may_open(64):
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64, before[1])
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_what_found_no_descriptor_while_the_limit_was_lowered_is_tried_again() -> None:
    assert unless_lowered(Shortage(2, meanwhile=lower)) == "done"
    with children_may_open(64):  # as another thread would find it
        assert unless_lowered(Shortage(2)) == "done"


def test_what_found_no_descriptor_otherwise_is_not() -> None:
    with pytest.raises(OSError, match="Too many"):
        unless_lowered(Shortage(1))


def test_what_never_finds_one_ends() -> None:
    with pytest.raises(OSError, match="Too many"):
        unless_lowered(Shortage(1000, meanwhile=lower))
