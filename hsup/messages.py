"""The lines that hsup itself adds to the log, in the platform's words."""

from __future__ import annotations

from hsup.lifecycle import State
from hsup.model import Command

STOPPING = "Stopping all processes with SIGTERM"
KILLING = "Stopping remaining processes with SIGKILL"


def starting(command: Command) -> str:
    """Say that a dyno is about to run a command."""
    return f"Starting process with command `{command}`"


def exited(status: int) -> str:
    """Say how a process ended; `status` as a shell has it."""
    return f"Process exited with status {status}"


def state_changed(before: State, after: State, reason: str) -> str:
    """Say that a dyno went from one state to another."""
    text = f"State changed from {before.value} to {after.value}"
    return f"{text} ({reason})" if reason else text


def exit_timeout(grace_seconds: float) -> str:
    """Say that a dyno did not end in time."""
    return (
        "Error R12 (Exit timeout) -> At least one process failed to exit "
        f"within {grace_seconds:g} seconds of SIGTERM"
    )
