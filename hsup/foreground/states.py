"""The end of a dyno in the foreground, as a table of (state, input) to (state, action).

                  HANG_UP, TERMINATE: stop              TERMINATE, GRACE_OVER: kill
       RUNNING ──────────────────────────────▶ STOPPING ────────────────────────────▶ KILLED
                  OUTPUT_BROKEN: break off

In the first two states a SIGNAL is passed on, and the terminal of the dyno RESIZEd. A program
that ends by itself does not change the state: what it has left running is killed.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """What a dyno has been told of its end."""

    RUNNING = "running"
    #: It has its grace period.
    STOPPING = "stopping"
    #: Whoever does not read what it wrote is not waited for either.
    KILLED = "killed"


class Input(Enum):
    """What can happen while a dyno is in the foreground."""

    #: SIGHUP, which comes twice, from the kernel and from a shell; or a closed terminal.
    HANG_UP = "hang-up"
    TERMINATE = "SIGTERM"
    #: Any other signal that is passed on.
    SIGNAL = "signal"
    RESIZE = "resize"
    #: Nothing more can be shown of what the dyno writes.
    OUTPUT_BROKEN = "output broken"
    #: The program has ended, and other processes of the dyno have not.
    PROGRAM_ENDED = "program ended"
    GRACE_OVER = "grace over"


class Action(Enum):
    """What the session does on the way into a state."""

    STOP = "stop"
    BREAK_OFF = "break off"
    SEND = "send"
    KILL = "kill"
    RESIZE = "resize"
    NOTHING = "nothing"


_S, _In, _Do = State, Input, Action

#: What changes something; every other input changes nothing.
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
    """Return the state that an input leads to, and what is done on the way."""
    return TABLE.get((state, given), (state, Action.NOTHING))
