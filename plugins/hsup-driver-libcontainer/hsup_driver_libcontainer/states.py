"""The states of a dyno's processes, as hsup learns of them: (state, input) to (state, action).

    FORKING ── LAUNCH ──▶ LAUNCHED
       │ SEEN                │ SEEN
       ▼                     ▼
     READY ─── LAUNCH ──▶ STARTING ── BUILT ──▶ BUILT ── BUILDER_GONE ──▶ RUNNING
       │                     │                    │                          │
       │ FAILED, BUILDER_GONE (LAUNCHED, too)     │ FAILED                   │
       ╰─────────────────────┴────────────────────┴──▶ FAILED                │
                                                          │ EXITED, EMPTIED  │
                                                          ▼                  │
                                  GONE ◀── ALL_GONE ── ENDED or EMPTY ◀──────╯

ALL_GONE may follow FAILED and RUNNING, too. A spare is READY until it is launched.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """What hsup knows of the processes of a dyno."""

    #: Its first process is not known yet.
    FORKING = "forking"
    #: It lacks only its files and program.
    READY = "ready"
    #: It has its files and program, and its first process is not known yet.
    LAUNCHED = "launched"
    STARTING = "starting"
    #: It is about to execute its program.
    BUILT = "built"
    RUNNING = "running"
    FAILED = "failed"
    #: Its program has ended, and other processes have not.
    ENDED = "ended"
    #: No process is left but the first one.
    EMPTY = "empty"
    GONE = "gone"

    @property
    def is_waiting(self) -> bool:
        """Tell whether it can be launched."""
        return self in {State.FORKING, State.READY}

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no process to kill."""
        return self in {State.EMPTY, State.GONE}


class Input(Enum):
    """What hsup does or learns, in the order in which `Conversation` reports it."""

    LAUNCH = "launch"
    SEEN = "seen"
    BUILT = "built"
    FAILED = "failed"
    BUILDER_GONE = "builder gone"
    EXITED = "exited"
    #: The program was the last process but the first one.
    EMPTIED = "emptied"
    ALL_GONE = "all gone"


class Action(Enum):
    """What is done on entering a state; all but LOOK and NOTHING stop the lookout."""

    #: Start the lookout for stopped processes.
    LOOK = "look"
    REST = "rest"
    TELL_STARTED = "tell started"
    TELL_FAILED = "tell failed"
    TELL_END = "tell end"
    TELL_GONE = "tell gone"
    NOTHING = "nothing"


_S, _In, _Do = State, Input, Action

#: Where an input leads; every other one changes nothing.
TABLE: dict[tuple[State, Input], State] = {
    (_S.FORKING, _In.LAUNCH): _S.LAUNCHED,
    (_S.FORKING, _In.SEEN): _S.READY,
    (_S.FORKING, _In.FAILED): _S.FAILED,
    (_S.FORKING, _In.BUILDER_GONE): _S.FAILED,
    (_S.READY, _In.LAUNCH): _S.STARTING,
    (_S.READY, _In.FAILED): _S.FAILED,
    (_S.READY, _In.BUILDER_GONE): _S.FAILED,
    (_S.LAUNCHED, _In.SEEN): _S.STARTING,
    (_S.LAUNCHED, _In.FAILED): _S.FAILED,
    (_S.LAUNCHED, _In.BUILDER_GONE): _S.FAILED,
    (_S.STARTING, _In.BUILT): _S.BUILT,
    (_S.STARTING, _In.FAILED): _S.FAILED,
    (_S.STARTING, _In.BUILDER_GONE): _S.FAILED,
    (_S.BUILT, _In.FAILED): _S.FAILED,
    (_S.BUILT, _In.BUILDER_GONE): _S.RUNNING,
    (_S.RUNNING, _In.EXITED): _S.ENDED,
    (_S.RUNNING, _In.EMPTIED): _S.EMPTY,
    (_S.RUNNING, _In.ALL_GONE): _S.GONE,
    (_S.FAILED, _In.EXITED): _S.ENDED,
    (_S.FAILED, _In.EMPTIED): _S.EMPTY,
    (_S.FAILED, _In.ALL_GONE): _S.GONE,
    (_S.ENDED, _In.ALL_GONE): _S.GONE,
    (_S.EMPTY, _In.ALL_GONE): _S.GONE,
}

_ON_THE_WAY_INTO = {
    _S.READY: _Do.REST,
    _S.LAUNCHED: _Do.LOOK,
    _S.STARTING: _Do.LOOK,
    _S.BUILT: _Do.NOTHING,
    _S.RUNNING: _Do.TELL_STARTED,
    _S.FAILED: _Do.TELL_FAILED,
    _S.ENDED: _Do.TELL_END,
    _S.EMPTY: _Do.TELL_END,
    _S.GONE: _Do.TELL_GONE,
}


def step(state: State, given: Input) -> tuple[State, Action]:
    """Return the state that an input leads to, and the action on entering it."""
    following = TABLE.get((state, given))
    if following is None:
        return state, Action.NOTHING
    return following, _ON_THE_WAY_INTO[following]
