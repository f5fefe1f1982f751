"""The lines that hsup itself adds to the log, in the platform's words."""

from __future__ import annotations

from hsup.api import SUPERVISOR
from hsup.events import (
    DynoExited,
    DynoStateChanged,
    Event,
    ReleaseReceived,
    ReleaseRejected,
    SourceFailed,
    Supervision,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.lifecycle import State
from hsup.model import Command, ExitStatus

STOPPING = "Stopping all processes with SIGTERM"
KILLING = "Stopping remaining processes with SIGKILL"
ADOPTED = "Took over the running process from a dead hsup"
OUT_OF_MEMORY = "Error R15 (Memory quota vastly exceeded)"
_KILLED = "Stopping process with SIGKILL"

#: The platform knows fewer states, and says nothing of a dyno that is new.
_PLATFORM_STATES = {
    State.NEW: "",
    State.PROVISIONING: "starting",
    State.STARTING: "starting",
    State.UP: "up",
    State.STOPPING: "up",
    State.RESTARTING: "up",
    State.CRASHED: "crashed",
    State.COMPLETE: "complete",
    State.STOPPED: "down",
}


def starting(command: Command) -> str:
    """Say that a dyno is about to run a command."""
    if not command.words:
        return "Starting process with the image's own command"
    return f"Starting process with command `{command}`"


def exit_timeout(grace_seconds: float) -> str:
    """Say that a dyno did not end in time."""
    return (
        "Error R12 (Exit timeout) -> At least one process failed to exit "
        f"within {grace_seconds:g} seconds of SIGTERM"
    )


def narrate(event: Event) -> tuple[str, tuple[str, ...]]:
    """Return whom an event concerns, a dyno or the supervisor, and the lines that tell it."""
    match event:
        case DynoStateChanged():
            return str(event.dyno), _state_changed(event)
        case DynoExited():
            return str(event.dyno), _exited(event.status)
        case _:
            return SUPERVISOR, (_supervision(event),)


def _supervision(event: Supervision) -> str:
    match event:
        case ReleaseReceived():
            return f"Release {event.release}"
        case ReleaseRejected():
            goes_on = f"v{event.running} goes on" if event.running is not None else "nothing runs"
            return f"Release rejected, {goes_on}: {event.error}"
        case SourceFailed():
            return f"Cannot take a newer release, what runs goes on: {event.error}"
        case SupervisorStarted():
            return f"Following the source {event.source} with the driver {event.driver}"
        case SupervisorStopping():
            return f"Stopping all dynos: {event.reason}"


def _exited(status: ExitStatus) -> tuple[str, ...]:
    """Tell an exit; of the platform's lines, `Process running mem=…` needs a measurement."""
    line = f"Process exited with status {status.status}"
    return (OUT_OF_MEMORY, _KILLED, line) if status.out_of_memory else (line,)


def _state_changed(event: DynoStateChanged) -> tuple[str, ...]:
    before, after = _PLATFORM_STATES[event.before], _PLATFORM_STATES[event.after]
    reason = (f"Cannot start: {event.reason}",) if event.reason else ()
    if not before or before == after:
        return reason
    return (*reason, f"State changed from {before} to {after}")
