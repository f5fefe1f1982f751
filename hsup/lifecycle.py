"""The life cycle of a dyno as a table from (state, input) to (state, action).

    NEW
     │ START
     ▼        PROVISIONED           STARTED       EXITED
    PROVISIONING ──────▶ STARTING ─────────▶ UP ─────────────▶ CRASHED, or COMPLETE
     ▲ │                    │                │ │               for a one-off dyno
     │ │ STOP               │ START_FAILED   │ │ STOP          │ │ ▲
     │ ▼                    ╰────────────────┼─┼──────────────▶│─┼─╯
     │ STOPPED                       RESTART │ ▼               │ │ STOP
     │ ▲        EXITED                       │ STOPPING        │ ╰──▶ STOPPED
     │ ╰───────────────────────────────────────╯   ▲           │
     │  EXITED                               ▼     │ STOP      │
     ├────────────────────────────────── RESTARTING            │ BACK_OFF_OVER, RESTART
     ╰─────────────────────────────────────────────────────────╯

A request that comes while a dyno is being provisioned or started is handled in the next
state that waits for requests.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """A state of a dyno."""

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
    def is_final(self) -> bool:
        """Tell whether no state follows this one."""
        return self in {State.COMPLETE, State.STOPPED}


class Input(Enum):
    """An event or a request that changes the state of a dyno."""

    START = "start"
    PROVISIONED = "provisioned"
    STARTED = "started"
    START_FAILED = "start failed"
    EXITED = "exited"
    BACK_OFF_OVER = "back-off over"
    RESTART = "restart"
    STOP = "stop"


class Action(Enum):
    """What an executor does when a state is entered."""

    PROVISION = "provision"
    LAUNCH = "launch"
    WATCH = "watch"
    TERMINATE = "terminate"
    BACK_OFF = "back off"
    FINISH = "finish"
    NOTHING = "nothing"


class Transition(NamedTuple):
    """The state that an input leads to, and the action on entering it."""

    state: State
    action: Action


class IllegalInput(Exception):
    """An input came in a state that does not allow it: a mistake in hsup."""

    def __init__(self, state: State, given: Input) -> None:
        super().__init__(f'a dyno that is {state.value} cannot take the input "{given.value}"')


_S, _In, _Do = State, Input, Action

#: Every legal pair. A one-off dyno (`one_off` of `step`) differs in one row.
TABLE: dict[tuple[State, Input], Transition] = {
    (_S.NEW, _In.START): Transition(_S.PROVISIONING, _Do.PROVISION),
    (_S.PROVISIONING, _In.PROVISIONED): Transition(_S.STARTING, _Do.LAUNCH),
    (_S.PROVISIONING, _In.STOP): Transition(_S.STOPPED, _Do.FINISH),
    (_S.STARTING, _In.STARTED): Transition(_S.UP, _Do.WATCH),
    (_S.STARTING, _In.START_FAILED): Transition(_S.CRASHED, _Do.BACK_OFF),
    (_S.UP, _In.EXITED): Transition(_S.CRASHED, _Do.BACK_OFF),
    (_S.UP, _In.RESTART): Transition(_S.RESTARTING, _Do.TERMINATE),
    (_S.UP, _In.STOP): Transition(_S.STOPPING, _Do.TERMINATE),
    (_S.RESTARTING, _In.EXITED): Transition(_S.PROVISIONING, _Do.PROVISION),
    (_S.RESTARTING, _In.STOP): Transition(_S.STOPPING, _Do.NOTHING),
    (_S.STOPPING, _In.EXITED): Transition(_S.STOPPED, _Do.FINISH),
    (_S.CRASHED, _In.BACK_OFF_OVER): Transition(_S.PROVISIONING, _Do.PROVISION),
    (_S.CRASHED, _In.RESTART): Transition(_S.PROVISIONING, _Do.PROVISION),
    (_S.CRASHED, _In.STOP): Transition(_S.STOPPED, _Do.FINISH),
}


def step(state: State, given: Input, *, one_off: bool = False) -> Transition:
    """Return the transition for an input; a one-off dyno completes where another crashes.

    Raises IllegalInput for a pair that is not in the table.
    """
    try:
        transition = TABLE[state, given]
    except KeyError:
        raise IllegalInput(state, given) from None
    if one_off and transition.state is State.CRASHED:
        return Transition(State.COMPLETE, Action.FINISH)
    return transition
