from __future__ import annotations

import os
import resource
from contextlib import ExitStack

import pytest

from hsup.descriptors import Descriptors, allow_many
from hsup.errors import DriverError


@pytest.fixture
def limit():
    """Set how many descriptors may be open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def set_limit(number):
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))

    yield set_limit
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def lowest():
    descriptor = os.open("/", os.O_PATH)
    os.close(descriptor)
    return descriptor


def test_the_soft_limit_is_raised_to_the_hard_one(limit):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit(100)
    allow_many()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_what_hsup_needs_itself_is_left(limit, lowest):
    descriptors = Descriptors()
    limit(2 * (lowest + 1))
    with descriptors.for_a_start():
        pass
    limit(2 * lowest)
    with pytest.raises(DriverError, match=f"than {2 * lowest} files .*: ulimit -n"):
        descriptors.for_a_start().__enter__()


@pytest.fixture
def take_below():
    """Open so many descriptors that the next one gets a number."""
    opened = []

    def take(number):
        while not opened or opened[-1] < number - 1:
            opened.append(os.open("/", os.O_PATH))

    yield take
    for descriptor in opened:
        os.close(descriptor)


def test_no_more_is_left_than_is_needed(limit, take_below):
    limit(1000)
    take_below(1000 - 64 - 1)
    with Descriptors().for_a_start():
        pass
    take_below(1000 - 64)
    with pytest.raises(DriverError):
        Descriptors().for_a_start().__enter__()


def test_dynos_that_are_being_started_count(limit, take_below):
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


def test_that_none_is_left_at_all_is_the_same(limit, lowest):
    limit(lowest)
    with pytest.raises(DriverError, match="ulimit -n"):
        Descriptors().for_a_start().__enter__()
