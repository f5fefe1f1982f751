"""Look at processes of this machine in /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

#: Stopped by a signal, or by a debugger; see man 5 proc_pid_stat.
_STOPPED = (b"T", b"t")


def is_stopped(pid: int) -> bool:
    """Tell whether a process was stopped by a signal or a debugger."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state in _STOPPED


def pid_of(pidfd: int) -> int:
    """Return the pid of a process in the /proc that is mounted here, -1 once it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["Pid"])


def children_of(pid: int) -> list[int]:
    """Return the children of a single-threaded process, none once it has ended."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [*map(int, file.read().split())]
    except (FileNotFoundError, ProcessLookupError):
        return []


def holders_of(path: str) -> Iterator[int]:
    """Yield the processes that have a file open, of those that may be looked at."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and any(file == path for file in _open_files(f"/proc/{name}/fd")):
            yield int(name)


def _open_files(directory: str) -> Iterator[str]:
    """Yield the files that a process has open; stop when it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for name in os.listdir(directory):
            yield os.readlink(f"{directory}/{name}")
