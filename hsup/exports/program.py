"""What another supervisor needs to know of an application and its dynos."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from hsup.model import Command, DynoName


class Program(NamedTuple):
    """One dyno, or the release phase, as a program that runs in a directory."""

    name: DynoName
    command: Command
    environment: Mapping[str, str]

    @property
    def port(self) -> int | None:
        """Return PORT, None without one."""
        port = self.environment.get("PORT")
        return None if port is None else int(port)

    @property
    def argv(self) -> tuple[str, ...]:
        """Return the words that are executed: bash runs a command of one word."""
        command = self.command
        words = command.words
        return (
            ("/bin/bash", "-c", "--", *words) if command.is_shell_line else ("/usr/bin/env", *words)
        )

    @property
    def shell_line(self) -> str:
        """Return the command as a line for a shell."""
        words = self.command.words
        return words[0] if self.command.is_shell_line else shlex.join(words)


class Exported(NamedTuple):
    """An application with its dynos; `release_phase` has to end before these start.

    `user` is whoever they run as, and `stack` the name of the release's.
    """

    app: str
    directory: str
    user: str
    dynos: tuple[Program, ...]
    release_phase: Program | None
    grace_seconds: float
    stack: str | None


class Export(NamedTuple):
    """Files to write, by name; `remarks` say what they leave to the user."""

    files: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def without_release_phase(application: Exported) -> tuple[str, ...]:
    """Return what to tell about a release phase that cannot be exported."""
    if application.release_phase is None:
        return ()
    return ("the release phase is not exported: run it before the dynos, with hsup run release",)
