"""When requests are sent, and how many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hsup_source_heroku import cadence
from hsup_source_heroku.budget import Budget
from hsup_source_heroku.errors import ApiError, RateLimited, Unauthorized
from hsup_source_heroku.poll_schedule import DRAINS, FORMATION, RELEASES, PollSchedule

CHANCES = st.floats(0, 1)
FAILURES = st.integers(1, 10_000)


def test_with_plenty_left_the_cadence_is_kept() -> None:
    assert cadence.unchanged(10, None) == 10
    assert cadence.unchanged(10, 4499) == 10
    assert cadence.unchanged(10, 1500) == 10


def test_with_little_left_it_is_stretched() -> None:
    assert cadence.unchanged(10, 150) == 100
    assert cadence.unchanged(10, 0) == 300
    assert cadence.unchanged(600, 0) == 600


@given(FAILURES, CHANCES)
def test_failures_wait_longer_and_longer_up_to_a_cap(failures: int, chance: float) -> None:
    wait = cadence.failed(10, failures, chance)
    assert 7.5 <= wait <= 375
    assert wait <= cadence.failed(10, failures + 1, chance)


@given(FAILURES, CHANCES)
def test_the_limit_waits_from_half_a_minute_to_a_quarter_of_an_hour(
    failures: int, chance: float
) -> None:
    assert 22.5 <= cadence.limited(10, failures, chance) <= 1125


@given(st.floats(0, 1e9), CHANCES)
def test_what_the_api_asks_for_is_waited_for_up_to_an_hour(seconds: float, chance: float) -> None:
    assert min(seconds, 3600) <= cadence.asked_for(seconds, chance) <= 4500


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ApiError, RateLimited, Unauthorized, None]),
            st.sampled_from([None, 0, 1, 700]),
            CHANCES,
        ),
        max_size=40,
    )
)
def test_a_thing_that_fails_waits_longer_and_the_other_is_asked_for(
    outcomes: list[tuple[type[ApiError] | None, float | None, float]],
) -> None:
    turns, now, in_a_row = PollSchedule(10, 0), 0.0, 0
    for kind, retry_after, chance in outcomes:
        now += turns.wait_seconds(now)
        thing = turns.next()
        if thing == FORMATION or kind is None:
            in_a_row = in_a_row if thing == FORMATION else 0
            turns.answered(thing, now, None)
            continue
        in_a_row += 1
        turns.failed(thing, kind("no", retry_after=retry_after), now, chance)
        shortest = max(cadence.failed(10, in_a_row, 0), retry_after or 0) - 1e-6
        if kind.is_for_all:
            assert turns.wait_seconds(now) >= shortest
        else:
            assert turns.next() == FORMATION or turns.wait_seconds(now) >= shortest


def test_drains_are_asked_for_a_sixth_as_often_within_the_budget() -> None:
    turns, now, budget = PollSchedule(10, 0, follows_drains=True), 0.0, Budget()
    asked = dict.fromkeys((RELEASES, FORMATION, DRAINS), 0)
    while (now := now + turns.wait_seconds(now)) <= 3600:
        assert budget.wait_seconds(now) == 0
        budget.spend(now)
        asked[turns.next()] += 1
        turns.answered(turns.next(), now, 4000)
    assert asked == {RELEASES: 360, FORMATION: 360, DRAINS: 60}


def test_with_little_left_drains_are_asked_for_as_rarely_as_releases() -> None:
    turns = PollSchedule(10, 0, follows_drains=True)
    for thing in (RELEASES, FORMATION, DRAINS):
        turns.answered(thing, 0, 0)
    assert turns.wait_seconds(0) == 300


@given(st.lists(st.floats(0, 60), max_size=300), st.integers(1, 20))
def test_in_no_hour_is_more_sent_than_the_budget_has(pauses: list[float], hourly: int) -> None:
    budget, now, sent = Budget(hourly), 0.0, []
    for pause in pauses:
        now += pause
        if budget.wait_seconds(now) == 0:
            budget.spend(now)
            sent.append(now)
        else:
            now += budget.wait_seconds(now)
    for moment in sent:
        assert sum(moment - 3599.999 < other <= moment for other in sent) <= hourly
