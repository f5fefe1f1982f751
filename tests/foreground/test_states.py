from __future__ import annotations

import itertools
from signal import SIGHUP, SIGTERM, Signals
from typing import Any

import pytest

from hsup.foreground.states import TABLE, Action, Input, State, step
from hsup.terminal import ENDING, HURRYING

#: A line for each state, a column for each input, in the order of `Input`; `-` changes nothing.
CELLS = {
    State.RUNNING: """
        stopping/stop      stopping/stop  running/send   running/resize   stopping/break-off
        running/kill       -
    """,
    State.STOPPING: """
        -                  killed/kill    stopping/send  stopping/resize  -
        -                  killed/kill
    """,
    State.KILLED: "- - - - - - -",
}


def told(value: Any) -> str:
    return value.value.replace(" ", "-")


def expected(state: State, given: Input) -> tuple[State, Action]:
    cell = CELLS[state].split()[list(Input).index(given)]
    if cell == "-":
        return state, Action.NOTHING
    name, action = cell.split("/")
    return State(name), Action(action.replace("-", " "))


@pytest.mark.parametrize(("state", "given"), [*itertools.product(State, Input)], ids=told)
def test_each_cell_leads_where_it_should(state: State, given: Input) -> None:
    assert step(state, given) == expected(state, given)


def test_the_table_has_no_cell_that_changes_nothing() -> None:
    assert all((state, Action.NOTHING) != result for (state, _), result in TABLE.items()), (
        "the rest is left out"
    )


@pytest.mark.parametrize(("number", "given"), [(SIGHUP, Input.HANG_UP), (SIGTERM, Input.TERMINATE)])
def test_it_agrees_with_what_the_signals_are_to_other_drivers(
    number: Signals, given: Input
) -> None:
    stopping, action = step(State.RUNNING, given)
    assert (number in ENDING) == (action is Action.STOP)
    assert (number in HURRYING) == (step(stopping, given)[1] is Action.KILL)


def test_nothing_follows_the_kill() -> None:
    assert {step(State.KILLED, given) for given in Input} == {(State.KILLED, Action.NOTHING)}
