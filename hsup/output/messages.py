"""The lines that hsup adds to the log: the platform's words where it has some, to the byte.

The lines of the platform that need what hsup does not know yet belong here, too: `Process running
mem=…` before R14 and R15, which needs a measurement, and R10 and R13.
"""

from __future__ import annotations

from hsup.api import API, SUPERVISOR, LogEvent
from hsup.errors import HsupError
from hsup.events import (
    HOOKS,
    DynoExited,
    DynoStateChanged,
    Event,
    ReleaseReceived,
    ReleaseRejected,
    SourceFailed,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.lifecycle import State
from hsup.model import Command, DynoName, ExitStatus
from hsup.output import causes
from hsup.output.lines import PLATFORM, Line

#: What hsup cannot start a dyno for, unless its command is at fault.
PLATFORM_ERROR_CODE = "R99"

STOPPING = Line("Stopping all processes with SIGTERM", LogEvent("stopping"), PLATFORM)
KILLING = Line("Stopping remaining processes with SIGKILL", LogEvent("killing"), PLATFORM)
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
_OUT_OF_MEMORY = Line(OUT_OF_MEMORY, LogEvent("error", code="R15"), PLATFORM)
_KILLED = Line("Stopping process with SIGKILL", LogEvent("killing"), PLATFORM)
_RESTARTING = Line("Restarting", LogEvent("restarting"), PLATFORM)
_NOT_LAUNCHED = Line(
    "Error R99 (Platform error) -> Failed to launch the dyno within 10 seconds",
    LogEvent("error", code=PLATFORM_ERROR_CODE),
    PLATFORM,
)

#: Events about no single dyno that the platform has no words for.
_OwnSupervision = ReleaseRejected | SourceFailed | SupervisorStarted | SupervisorStopping

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
    if not command.words:
        return Line("Starting process with the image's default command", LogEvent("starting"))
    event = LogEvent("starting", facts={"command": str(command)})
    return Line(f"Starting process with command `{command}`", event, PLATFORM)


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
    event = LogEvent("error", code=EXIT_TIMEOUT_CODE, facts={"grace_seconds": grace_seconds})
    return Line(f"{EXIT_TIMEOUT}{text}", event, PLATFORM)


def platform_error(error: HsupError) -> tuple[Line, ...]:
    """Return the platform's line for an error, none if it knows no such error."""
    known = error.platform_line
    if known is None:
        return ()
    return (Line(known.text, LogEvent("error", code=error.code, facts=known.facts), PLATFORM),)


def narrate(event: Event) -> tuple[str, tuple[Line, ...]]:
    """Return the subject of an event, a dyno, `api` or the supervisor, and its lines."""
    about, lines = _narrated(event)
    return about, tuple(one._replace(event=one.event._replace(of=event)) for one in lines)


def _narrated(event: Event) -> tuple[str, tuple[Line, ...]]:
    match event:
        case DynoStateChanged():
            return str(event.dyno), _state_changed(event)
        case DynoExited():
            return str(event.dyno), _exited(event.status)
        case ReleaseReceived():
            return API, tuple(causes.received(event))
        case _:
            line = Line(_supervision(event), _supervision_event(event))
            return SUPERVISOR, (*_errors_before(event), line)


def _errors_before(event: _OwnSupervision) -> tuple[Line, ...]:
    return platform_error(event.error) if isinstance(event, ReleaseRejected) else ()


def _supervision(event: _OwnSupervision) -> str:
    match event:
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


def _supervision_event(event: _OwnSupervision) -> LogEvent:
    """Return the event, named after its hook, with the platform's error code if any."""
    code = event.error.code if isinstance(event, ReleaseRejected | SourceFailed) else None
    return LogEvent(HOOKS[type(event)].removeprefix("hsup_"), code=code)


def _exited(status: ExitStatus) -> tuple[Line, ...]:
    """Return the lines for an exit, without `Process running mem=…`, which needs a measurement."""
    event = LogEvent("exited", status=status.status)
    line = Line(f"Process exited with status {status.status}", event, PLATFORM)
    return (_OUT_OF_MEMORY, _KILLED, line) if status.out_of_memory else (line,)


def _state_changed(event: DynoStateChanged) -> tuple[Line, ...]:
    before, after = _PLATFORM_STATES[event.before], _PLATFORM_STATES[event.after]
    others = _failed_start(event)
    if event.after is State.RESTARTING:
        others = (*others, _RESTARTING)
    if not before or before == after:
        return others
    changed = LogEvent("state_changed", state=after, facts={"previous_state": before})
    return (*others, Line(f"State changed from {before} to {after}", changed, PLATFORM))


def _failed_start(event: DynoStateChanged) -> tuple[Line, ...]:
    """Return the lines for a start that has failed: the platform's, and hsup's with the cause."""
    if not event.reason:
        return ()
    cause = LogEvent("error", facts={"reason": event.reason})
    line = Line(f"Cannot start: {event.reason}", cause)
    return (_NOT_LAUNCHED, line) if event.code == PLATFORM_ERROR_CODE else (line,)
