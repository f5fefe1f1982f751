"""Run the tools that fetch and unpack stacks."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from shutil import which
from typing import IO

from hsup.cancellation import require_wanted
from hsup.errors import DriverError
from hsup_driver_libcontainer.requirements import how_to_install

#: The Debian packages of tools that are not on every machine.
_PACKAGES = {
    "skopeo": "skopeo umoci",
    "umoci": "skopeo umoci",
    "xz": "xz-utils",
    "zstd": "zstd",
    "bzip2": "bzip2",
    "gzip": "gzip",
    "mount": "mount",
    "tar": "tar",
}
_SECONDS_BETWEEN_LOOKS = 0.2
_DISK_IS_FULL = os.strerror(errno.ENOSPC)
#: The lines that tar prints after the cause of a failure; the last one follows the unexpected end
#: of an archive whose size is not a multiple of 10,240 (GNU tar 1.35).
_ENDS = (
    "Exiting with failure",
    "Error is not recoverable",
    "Child returned status",
    "rmtlseek not stopped at a record boundary",
)
_LOGGED = re.compile(r'level=\w+ msg="(.*)"$')


class Tools:
    """Runs tools that end when hsup ends, and hold one of its locks until then."""

    def __init__(self, environ: Mapping[str, str], lock: int) -> None:
        self._environ = {**environ, "LC_ALL": "C"}
        self._lock = lock

    def check(self, *names: str) -> None:
        """Raise DriverError for a tool that is not installed."""
        for name in names:
            if which(name, path=self._environ.get("PATH")) is None:
                hint = how_to_install(*_PACKAGES.get(name, name).split())
                raise DriverError(f"{name} is not installed, but this stack needs it", hint=hint)

    def run(
        self,
        *command: str,
        to: str,
        hint: str | None = None,
        stdin: IO[bytes] | None = None,
        watch: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Return the output of a command; `to` is its purpose and `hint` a remedy, for the error.

        Calls `watch` several times a second. Raises DriverError with the last line of the
        command's error output, and GivenUp.
        """
        process = self.start(*command, stdin=stdin)
        try:
            output, complaint = _communicate(process, watch)
        finally:
            stop(process)
        if process.returncode:
            problem = _last_line(complaint) or f"{command[0]} failed"
            remedy = "free some space" if problem == _DISK_IS_FULL else hint
            raise DriverError(f"cannot {to}: {problem}", hint=remedy)
        return output

    def start(self, *command: str, stdin: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """Start a command, with pipes for its output and errors."""
        self.check(command[0])
        # If hsup is killed, its lock is free only when its children have ended, too.
        argv = ("setpriv", "--pdeathsig", "KILL", "--", *command)
        return subprocess.Popen(  # noqa: S603 - no shell, and hsup's own words
            argv,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environ,
            pass_fds=(self._lock,),
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a command that is still running, and close its pipes."""
    process.kill()
    with process:
        pass


def _communicate(
    process: subprocess.Popen[bytes], watch: Callable[[], None]
) -> tuple[bytes, bytes]:
    while True:
        try:
            return process.communicate(timeout=_SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            require_wanted()
            watch()


def _last_line(complaint: bytes) -> str:
    """Return the last line of an error output that names a cause."""
    lines = complaint.decode(errors="replace").strip().splitlines()
    # tar reports a write that a full disk cut off with "Wrote only".
    if any(_DISK_IS_FULL in line or "Wrote only" in line for line in lines):
        return _DISK_IS_FULL
    telling = [line for line in lines if line and not any(end in line for end in _ENDS)]
    if not telling:
        return ""
    logged = _LOGGED.search(telling[-1])
    return logged[1].replace('\\"', '"') if logged else telling[-1].strip()
