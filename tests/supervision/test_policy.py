from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.supervision.policy import CrashPolicy, RetryPolicy

POLICY = CrashPolicy(base_seconds=1.0, cap_seconds=300.0, jitter=0.25, stable_seconds=60.0)
NO_CHANCE = 0.5  # neither shorter nor longer


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_first_restart_is_immediate(chance: float) -> None:
    assert POLICY.wait_seconds(1, chance) == 0.0


def test_later_restarts_wait_twice_as_long_each_time() -> None:
    waits = [POLICY.wait_seconds(crashes, NO_CHANCE) for crashes in range(2, 11)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize("crashes", [11, 12, 100, 10**6])
def test_no_wait_is_longer_than_the_cap(crashes: int) -> None:
    assert POLICY.wait_seconds(crashes, NO_CHANCE) == 300.0


@given(crashes=st.integers(2, 200), chance=st.floats(0, 1))
def test_jitter_stays_in_its_share(crashes: int, chance: float) -> None:
    middle = POLICY.wait_seconds(crashes, NO_CHANCE)
    wait = POLICY.wait_seconds(crashes, chance)
    assert 0.75 * middle <= wait <= 1.25 * middle


def test_jitter_reaches_both_bounds() -> None:
    assert POLICY.wait_seconds(3, 0.0) == 1.5
    assert POLICY.wait_seconds(3, 1.0) == 2.5


def test_without_jitter_chance_does_not_matter() -> None:
    policy = CrashPolicy(jitter=0.0)
    assert policy.wait_seconds(5, 0.0) == policy.wait_seconds(5, 1.0)


def test_a_crash_soon_after_another_counts_on() -> None:
    assert POLICY.crashes_in_a_row(4, 59.9) == 5


def test_a_dyno_that_was_up_long_enough_counts_anew() -> None:
    assert POLICY.crashes_in_a_row(4, 60.0) == 1


def test_the_figures_are_those_that_are_documented() -> None:
    assert CrashPolicy() == POLICY


@pytest.mark.parametrize(
    ("failures", "wait"), [(1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (10_000, 300)]
)
def test_what_failed_is_tried_again_less_and_less_often(failures: int, wait: int) -> None:
    assert RetryPolicy().wait_seconds(failures) == wait
