from __future__ import annotations

import math

import pytest

from hsup.errors import DriverError, ReleaseFailed
from hsup.model import Author
from hsup.supervision.failure import LastFailure
from hsup.supervision.policy import RetryPolicy
from hsup.testing import make_release


class Clock:
    """A clock that stands still until it is set."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failure(clock: Clock) -> LastFailure:
    return LastFailure(RetryPolicy(), clock)


def test_what_a_driver_could_not_do_is_tried_again_less_and_less_often(
    failure: LastFailure, clock: Clock
) -> None:
    release = make_release(web=1)
    for wait in (10, 20, 40):
        failure.note(release, DriverError("engine away"))
        assert failure.wait_seconds(release) == wait
        clock.seconds += wait - 1
        assert failure.wait_seconds(release) == 1
        clock.seconds += 1
        assert failure.wait_seconds(release) == 0
    assert not failure.is_to_be_told()


def test_what_failed_by_itself_is_not_tried_until_it_is_asked_for(failure: LastFailure) -> None:
    release = make_release(web=1, release=1)
    failure.note(release, ReleaseFailed(release, "exited with status 1"))
    assert failure.wait_seconds(release) == math.inf
    assert [failure.is_to_be_told() for _ in range(3)] == [True, False, False]
    failure.forget()
    assert failure.wait_seconds(release) == 0


def test_another_release_is_tried_and_ends_the_memory(failure: LastFailure) -> None:
    failed, other = make_release(web=1), make_release(web=1, version=2, config={"A": "b"})
    failure.note(failed, DriverError("no"))
    assert failure.wait_seconds(make_release(web=5)) == 10  # which differs in scale only
    assert failure.wait_seconds(other) == 0
    assert failure.wait_seconds(failed) == 0


def test_a_failure_lasts_until_the_release_may_be_tried_again(
    failure: LastFailure, clock: Clock
) -> None:
    failed, other = make_release(web=1), make_release(web=1, version=2, config={"A": "b"})
    assert not failure.lasts(failed)
    failure.note(failed, DriverError("no"))
    for seconds, lasts in ((0, True), (9, True), (1, False)):
        clock.seconds += seconds
        assert not failure.lasts(other)
        assert failure.lasts(failed) == lasts
    failure.note(failed, ReleaseFailed(failed, "exited with status 1"))
    clock.seconds += 1e6
    assert failure.lasts(failed)


def test_another_author_may_be_allowed_what_it_names(failure: LastFailure) -> None:
    failed = make_release(web=1)
    failure.note(failed, DriverError("no"))
    assert failure.wait_seconds(failed._replace(author=Author(1, 1))) == 0
