"""Run system tools such as nft(8) and iptables(8) in parallel with other work.

Importing the subprocess module takes a twentieth of the time of `hsup run`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

#: The directories of such tools, which not every user has in PATH.
_SYSTEM_DIRECTORIES = ("/usr/sbin", "/sbin")


def find_tool(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of a tool, or None."""
    for directory in (*environ.get("PATH", "/usr/bin").split(":"), *_SYSTEM_DIRECTORIES):
        path = f"{directory}/{name}"
        if directory and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


class Ended(NamedTuple):
    """A tool that has run: its exit status, and all that it wrote."""

    status: int
    output: str

    @property
    def complaint(self) -> str:
        """Return one line that says what went wrong."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[0] if lines else f"exit status {self.status}"


class RunningTool:
    """A tool that was started, with `text` as its input.

    It runs in the C locale, in a session of its own and with no signal blocked, so that ^C
    cannot interrupt its work. `text` may have up to 64 KiB: that fits into a pipe, so that
    writing it does not wait for the tool.
    """

    def __init__(self, argv: tuple[str, ...], text: str = "") -> None:
        with ExitStack() as given, ExitStack() as undo:
            reading, writing = os.pipe()
            given.callback(os.close, reading)
            with open(writing, "wb") as file:
                file.write(text.encode())
            self._output, output = os.pipe()
            undo.callback(os.close, self._output)
            given.callback(os.close, output)
            self._pid = os.posix_spawn(
                argv[0],
                argv,
                {"LC_ALL": "C"},
                setsid=True,
                setsigmask=(),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ],
            )
            undo.pop_all()

    def wait(self) -> Ended:
        """Wait until it has ended, and return its status and output."""
        with open(self._output, encoding="utf-8", errors="replace") as file:
            output = file.read()
        _, status = os.waitpid(self._pid, 0)
        return Ended(os.waitstatus_to_exitcode(status), output)
