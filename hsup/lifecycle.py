"""The life of a dyno as a table of (state, input) to (state, action).

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

What is asked for while a dyno is prepared or started is taken in the next state in
which it is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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


@dataclass(frozen=True, slots=True)
class Transition:
    """The state that an input leads to, and what is done on the way."""

    state: State
    action: Action


class IllegalInput(Exception):
    """An input came in a state where it cannot come: a mistake in hsup."""

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
