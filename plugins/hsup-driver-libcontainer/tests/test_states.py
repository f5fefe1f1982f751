from __future__ import annotations

import itertools
from typing import Any

import pytest

from hsup_driver_libcontainer.states import TABLE, Action, Input, State, step

#: A column for each input, in the order of `Input`; `-` changes nothing.
CELLS = """
              launch    seen      built  failed  builder-gone  exited  emptied  all-gone
    forking   launched  ready     -      failed  failed        -       -        -
    ready     starting  -         -      failed  failed        -       -        -
    launched  -         starting  -      failed  failed        -       -        -
    starting  -         -         built  failed  failed        -       -        -
    built     -         -         -      failed  running       -       -        -
    running   -         -         -      -       -             ended   empty    gone
    failed    -         -         -      -       -             ended   empty    gone
    ended     -         -         -      -       -             -       -        gone
    empty     -         -         -      -       -             -       -        gone
    gone      -         -         -      -       -             -       -        -
"""
#: What is done on the way.
DONE = {
    "launched": "look",
    "ready": "rest",
    "starting": "look",
    "built": "nothing",
    "running": "tell started",
    "failed": "tell failed",
    "ended": "tell end",
    "empty": "tell end",
    "gone": "tell gone",
}


def told(value: Any) -> str:
    return value.value.replace(" ", "-")


def expected(state: State, given: Input) -> Any:
    columns, *rows = (line.split() for line in CELLS.splitlines() if line)
    (row,) = (row[1:] for row in rows if row[0] == told(state))
    cell = row[columns.index(told(given))]
    return (state, Action.NOTHING) if cell == "-" else (State(cell), Action(DONE[cell]))


@pytest.mark.parametrize(("state", "given"), [*itertools.product(State, Input)], ids=told)
def test_each_cell_leads_where_it_should(state: State, given: Input) -> None:
    assert step(state, given) == expected(state, given)


@pytest.mark.parametrize(("state", "given"), [*TABLE], ids=told)
def test_a_cell_of_the_table_leads_to_another_state(state: State, given: Input) -> None:
    assert step(state, given)[0] is not state


def test_only_a_dyno_that_waits_can_be_launched() -> None:
    launched = {state for state in State if step(state, Input.LAUNCH)[1] is Action.LOOK}
    assert launched == {state for state in State if state.is_waiting}


@pytest.mark.parametrize("state", [*State], ids=told)
def test_every_dyno_is_gone_in_the_end_whatever_it_was(state: State) -> None:
    """A conversation reports the builder's end before that of all processes."""
    without_builder, _ = step(state, Input.BUILDER_GONE)
    end, _ = step(without_builder, Input.ALL_GONE)
    assert end is State.GONE
    assert end.is_empty
