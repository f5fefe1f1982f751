"""The life of a dyno as a table of (state, input) to (state, action)."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """Where a dyno is in its life."""

    NEW = "new"
    PROVISIONING = "provisioning"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    CRASHED = "crashed"
    COMPLETE = "complete"
    STOPPED = "stopped"

    @property
    def go_name(self) -> str:
        """Return the name that the Go program's `/status` gave to this state."""
        return _GO_NAMES[self]

    @property
    def is_final(self) -> bool:
        """Tell whether nothing follows this state."""
        return self in {State.COMPLETE, State.STOPPED}


class Input(Enum):
    """What can happen to a dyno."""

    START = "start"
    PROVISIONED = "provisioned"
    STARTED = "started"
    START_FAILED = "start failed"
    EXITED = "exited"
    BACK_OFF_OVER = "back-off over"
    RESTART = "restart"
    STOP = "stop"


class Action(Enum):
    """What an executor does on the way into a state."""

    PROVISION = "provision"
    LAUNCH = "launch"
    WATCH = "watch"
    TERMINATE = "terminate"
    BACK_OFF = "back off"
    FINISH = "finish"
    NOTHING = "nothing"


class Transition(NamedTuple):
    """The state that an input leads to, and what is done on the way."""

    state: State
    action: Action


class IllegalInput(Exception):
    """An input came in a state where it cannot come: a mistake in hsup."""

    def __init__(self, state: State, given: Input) -> None:
        super().__init__(f'a dyno that is {state.value} cannot take the input "{given.value}"')


S, I, A = State, Input, Action  # noqa: E741 - the table is read by its columns

#: Every legal pair. A one-off dyno (`one_off` of `step`) differs in one row.
TABLE: dict[tuple[State, Input], Transition] = {
    (S.NEW, I.START): Transition(S.PROVISIONING, A.PROVISION),
    (S.NEW, I.STOP): Transition(S.STOPPED, A.FINISH),
    (S.PROVISIONING, I.PROVISIONED): Transition(S.STARTING, A.LAUNCH),
    (S.PROVISIONING, I.START_FAILED): Transition(S.CRASHED, A.BACK_OFF),
    (S.PROVISIONING, I.RESTART): Transition(S.PROVISIONING, A.NOTHING),
    (S.PROVISIONING, I.STOP): Transition(S.STOPPED, A.FINISH),
    (S.STARTING, I.STARTED): Transition(S.UP, A.WATCH),
    (S.STARTING, I.START_FAILED): Transition(S.CRASHED, A.BACK_OFF),
    (S.UP, I.EXITED): Transition(S.CRASHED, A.BACK_OFF),
    (S.UP, I.RESTART): Transition(S.RESTARTING, A.TERMINATE),
    (S.UP, I.STOP): Transition(S.STOPPING, A.TERMINATE),
    (S.RESTARTING, I.EXITED): Transition(S.PROVISIONING, A.PROVISION),
    (S.RESTARTING, I.RESTART): Transition(S.RESTARTING, A.NOTHING),
    (S.RESTARTING, I.STOP): Transition(S.STOPPING, A.NOTHING),
    (S.STOPPING, I.EXITED): Transition(S.STOPPED, A.FINISH),
    (S.STOPPING, I.RESTART): Transition(S.STOPPING, A.NOTHING),
    (S.STOPPING, I.STOP): Transition(S.STOPPING, A.NOTHING),
    (S.CRASHED, I.BACK_OFF_OVER): Transition(S.PROVISIONING, A.PROVISION),
    (S.CRASHED, I.RESTART): Transition(S.PROVISIONING, A.PROVISION),
    (S.CRASHED, I.STOP): Transition(S.STOPPED, A.FINISH),
    (S.COMPLETE, I.RESTART): Transition(S.COMPLETE, A.NOTHING),
    (S.COMPLETE, I.STOP): Transition(S.COMPLETE, A.NOTHING),
    (S.STOPPED, I.RESTART): Transition(S.STOPPED, A.NOTHING),
    (S.STOPPED, I.STOP): Transition(S.STOPPED, A.NOTHING),
}


def step(state: State, given: Input, *, one_off: bool = False) -> Transition:
    """Return what an input leads to; a one-off dyno completes where another crashes.

    Raises IllegalInput for a pair that is not in the table.
    """
    try:
        found = TABLE[state, given]
    except KeyError:
        raise IllegalInput(state, given) from None
    if one_off and found.state is State.CRASHED:
        return Transition(State.COMPLETE, Action.FINISH)
    return found


_GO_NAMES = {
    State.NEW: "Stopped",
    State.PROVISIONING: "Stopped",
    State.STARTING: "Stopped",
    State.UP: "Started",
    State.STOPPING: "Retiring",
    State.RESTARTING: "Retiring",
    State.CRASHED: "Stopped",
    State.COMPLETE: "Retired",
    State.STOPPED: "Retired",
}
