"""Turn a dyno's spec into the program to execute, and a wait status into an exit status."""

from __future__ import annotations

import os

from hsup import launch
from hsup.errors import DynoStartError
from hsup.model import DynoSpec, ExitStatus
from hsup_driver_libcontainer.child.plan import Program, Terminal

_UNKNOWN_TERMINAL = "xterm"


def program(spec: DynoSpec, terminal: Terminal | None = None, kind: str | None = None) -> Program:
    """Return the program of a dyno; `kind` is the TERM of hsup's own terminal."""
    environment = launch.dyno_environment(spec)
    if terminal is not None:
        environment["TERM"] = kind or _UNKNOWN_TERMINAL
        environment["COLUMNS"] = str(terminal.columns)
        environment["LINES"] = str(terminal.rows)
    return Program(launch.start_up(spec.command), environment, terminal)


def exit_status(status: int) -> ExitStatus:
    """Return the exit status that a status of wait(2) stands for."""
    code = os.waitstatus_to_exitcode(status)
    return ExitStatus(code=code) if code >= 0 else ExitStatus(signal=-code)


def start_error(reason: str) -> DynoStartError:
    """Return the error for a dyno that could not be started."""
    return DynoStartError(f"cannot start the dyno: {reason}")


def execution_error(reason: str) -> DynoStartError:
    """Return the error for an exec'd command that could not be executed."""
    return DynoStartError(f"cannot execute the command in the dyno: {reason}")
