"""How a dyno in the foreground is stopped: a table from (state, input) to (state, action).

                  HANG_UP, TERMINATE: stop              TERMINATE, GRACE_OVER: kill
       RUNNING ──────────────────────────────▶ STOPPING ────────────────────────────▶ KILLED
                  OUTPUT_BROKEN: break off

In the first two states a SIGNAL is passed on, and a RESIZE resizes the terminal of the dyno.
A program that ends by itself does not change the state: its remaining processes are killed.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """How far the stopping of a dyno has come."""

    RUNNING = "running"
    #: The grace period has begun.
    STOPPING = "stopping"
    #: hsup no longer waits for readers of the dyno's output either.
    KILLED = "killed"


class Input(Enum):
    """An event while a dyno is in the foreground."""

    #: SIGHUP, which the kernel and a shell both send; or a closed terminal.
    HANG_UP = "hang-up"
    TERMINATE = "SIGTERM"
    #: Any other signal that is passed on.
    SIGNAL = "signal"
    RESIZE = "resize"
    #: The dyno's output can no longer be written.
    OUTPUT_BROKEN = "output broken"
    #: The program has ended, but other processes of the dyno have not.
    PROGRAM_ENDED = "program ended"
    GRACE_OVER = "grace over"


class Action(Enum):
    """What the session does when it enters a state."""

    STOP = "stop"
    BREAK_OFF = "break off"
    SEND = "send"
    KILL = "kill"
    RESIZE = "resize"
    NOTHING = "nothing"


_S, _In, _Do = State, Input, Action

#: Every input that is not listed changes nothing.
TABLE: dict[tuple[State, Input], tuple[State, Action]] = {
    (_S.RUNNING, _In.HANG_UP): (_S.STOPPING, _Do.STOP),
    (_S.RUNNING, _In.TERMINATE): (_S.STOPPING, _Do.STOP),
    (_S.RUNNING, _In.OUTPUT_BROKEN): (_S.STOPPING, _Do.BREAK_OFF),
    (_S.RUNNING, _In.SIGNAL): (_S.RUNNING, _Do.SEND),
    (_S.RUNNING, _In.RESIZE): (_S.RUNNING, _Do.RESIZE),
    (_S.RUNNING, _In.PROGRAM_ENDED): (_S.RUNNING, _Do.KILL),
    (_S.STOPPING, _In.TERMINATE): (_S.KILLED, _Do.KILL),
    (_S.STOPPING, _In.GRACE_OVER): (_S.KILLED, _Do.KILL),
    (_S.STOPPING, _In.SIGNAL): (_S.STOPPING, _Do.SEND),
    (_S.STOPPING, _In.RESIZE): (_S.STOPPING, _Do.RESIZE),
}


def step(state: State, given: Input) -> tuple[State, Action]:
    """Return the next state after an input, and the action to take."""
    return TABLE.get((state, given), (state, Action.NOTHING))
