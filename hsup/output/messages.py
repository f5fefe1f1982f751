"""The lines that hsup adds to the log, in the platform's words."""

from __future__ import annotations

from typing import NamedTuple

from hsup.api import SUPERVISOR, LogEvent
from hsup.events import (
    HOOKS,
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
from hsup.model import Command, DynoName, ExitStatus


class Line(NamedTuple):
    """A line of hsup's own: its text for people, its event for programs."""

    text: str
    event: LogEvent


STOPPING = Line("Stopping all processes with SIGTERM", LogEvent("stopping"))
KILLING = Line("Stopping remaining processes with SIGKILL", LogEvent("killing"))
ADOPTED = Line("Adopted a process left running by a previous hsup", LogEvent("adopted"))
DETACHED = Line(
    "Warning: the command moved to the background, and hsup ended what it left; "
    "keep it in the foreground, often with an option such as --foreground or --nodaemon",
    LogEvent("warning"),
)
WAITING_FOR_TERMINAL = Line(
    "Waiting for the terminal, which another job has; fg starts the dyno", LogEvent("notice")
)
ENDED_AT_ONCE = Line(
    "Notice: the command ended within a second, without an error, and is started again; "
    "for commands that are to end there are hsup run and hsup start --oneshot",
    LogEvent("notice"),
)
EXIT_TIMEOUT, EXIT_TIMEOUT_CODE = "Error R12 (Exit timeout) -> ", "R12"
OUT_OF_MEMORY = "Error R15 (Memory quota vastly exceeded)"
_OUT_OF_MEMORY = Line(OUT_OF_MEMORY, LogEvent("error", code="R15"))
_KILLED = Line("Stopping process with SIGKILL", LogEvent("killing"))

#: The platform has fewer states, and does not mention a new dyno.
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


def starting(command: Command) -> Line:
    """Return the line for a dyno that is about to run a command."""
    how = f"command `{command}`" if command.words else "the image's default command"
    return Line(f"Starting process with {how}", LogEvent("starting"))


def warning(text: str) -> Line:
    """Return the line for a warning."""
    return Line(f"Warning: {text}", LogEvent("warning"))


def waiting_for_port(port: int | None, holder: DynoName | None) -> Line:
    """Return the line for a dyno whose port a dyno of an earlier release still has."""
    text = f"Waiting for port {port}, which {holder} has until it ends"
    return Line(text, LogEvent("notice"))


def exit_timeout(grace_seconds: float) -> Line:
    """Return the line for a dyno that did not end in time."""
    text = f"At least one process failed to exit within {grace_seconds:g} seconds of SIGTERM"
    return Line(f"{EXIT_TIMEOUT}{text}", LogEvent("error", code=EXIT_TIMEOUT_CODE))


def narrate(event: Event) -> tuple[str, tuple[Line, ...]]:
    """Return the subject of an event, a dyno or the supervisor, and its lines."""
    about, lines = _narrated(event)
    return about, tuple(one._replace(event=one.event._replace(of=event)) for one in lines)


def _narrated(event: Event) -> tuple[str, tuple[Line, ...]]:
    match event:
        case DynoStateChanged():
            return str(event.dyno), _state_changed(event)
        case DynoExited():
            return str(event.dyno), _exited(event.status)
        case _:
            return SUPERVISOR, (Line(_supervision(event), _supervision_event(event)),)


def _supervision(event: Supervision) -> str:
    match event:
        case ReleaseReceived():
            return f"Release {event.release}"
        case ReleaseRejected():
            return f"Release rejected, {_after_rejection(event)}: {event.error}"
        case SourceFailed():
            return f"{_source_failure(event)}: {event.error}"
        case SupervisorStarted():
            return f'Following source "{event.source}" with driver "{event.driver}"'
        case SupervisorStopping():
            return f"Stopping all dynos: {event.reason}"


def _after_rejection(event: ReleaseRejected) -> str:
    if event.starting is not None:
        return "starting the last good one instead"
    return "nothing is running" if event.running is None else f"still running v{event.running}"


def _source_failure(event: SourceFailed) -> str:
    if event.starting is not None:
        return f"Cannot fetch a newer release, starting the last good one, v{event.starting}"
    if event.running is None:
        return "Cannot fetch a release, nothing is running"
    return "Cannot fetch a newer release, keeping the current one"


def _supervision_event(event: Supervision) -> LogEvent:
    """Return the event, named after its hook, with the platform's error code if any."""
    code = event.error.code if isinstance(event, ReleaseRejected | SourceFailed) else None
    return LogEvent(HOOKS[type(event)].removeprefix("hsup_"), code=code)


def _exited(status: ExitStatus) -> tuple[Line, ...]:
    """Return the lines for an exit, without `Process running mem=…`, which needs a measurement."""
    event = LogEvent("exited", status=status.status)
    line = Line(f"Process exited with status {status.status}", event)
    return (_OUT_OF_MEMORY, _KILLED, line) if status.out_of_memory else (line,)


def _state_changed(event: DynoStateChanged) -> tuple[Line, ...]:
    before, after = _PLATFORM_STATES[event.before], _PLATFORM_STATES[event.after]
    reason = (Line(f"Cannot start: {event.reason}", LogEvent("error")),) if event.reason else ()
    if not before or before == after:
        return reason
    text = f"State changed from {before} to {after}"
    return (*reason, Line(text, LogEvent("state_changed", state=after)))
