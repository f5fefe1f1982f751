from __future__ import annotations

import itertools

import pytest

from hsup.lifecycle import TABLE, Action, IllegalInput, Input, State, Transition, step

CELLS = list(itertools.product(State, Input))
LEGAL = [cell for cell in CELLS if cell in TABLE]
ILLEGAL = [cell for cell in CELLS if cell not in TABLE]


def told(value: State | Input) -> str:
    return value.value.replace(" ", "-")


@pytest.mark.parametrize(("state", "given"), LEGAL, ids=told)
def test_a_legal_input_leads_where_the_table_says(state: State, given: Input) -> None:
    assert step(state, given) == TABLE[state, given]


@pytest.mark.parametrize("one_off", [False, True], ids=["lasting", "one-off"])
@pytest.mark.parametrize(("state", "given"), ILLEGAL, ids=told)
def test_an_illegal_input_is_refused_by_name(state: State, given: Input, one_off: bool) -> None:
    with pytest.raises(IllegalInput) as caught:
        step(state, given, one_off=one_off)
    assert state.value in str(caught.value)
    assert given.value in str(caught.value)


@pytest.mark.parametrize(("state", "given"), LEGAL, ids=told)
def test_a_one_off_dyno_differs_only_in_completing_where_another_crashes(
    state: State, given: Input
) -> None:
    found = step(state, given, one_off=True)
    if TABLE[state, given].state is State.CRASHED:
        assert found == Transition(State.COMPLETE, Action.FINISH)
    else:
        assert found == TABLE[state, given]


@pytest.mark.parametrize("state", [State.UP, State.RESTARTING, State.CRASHED], ids=told)
def test_a_stop_is_taken_wherever_a_dyno_is_waited_for(state: State) -> None:
    assert (state, Input.STOP) in TABLE


@pytest.mark.parametrize("state", [State.COMPLETE, State.STOPPED], ids=told)
def test_nothing_follows_a_final_state(state: State) -> None:
    assert state.is_final
    assert not [cell for cell in LEGAL if cell[0] is state]


def test_every_other_state_can_still_end() -> None:
    for state in State:
        reached = {state}
        for _ in State:
            reached |= {TABLE[cell].state for cell in LEGAL if cell[0] in reached}
        assert any(one.is_final for one in reached), state


def test_every_state_but_completion_is_reached_by_the_table() -> None:
    reached = {transition.state for transition in TABLE.values()}
    assert set(State) - reached == {State.NEW, State.COMPLETE}
