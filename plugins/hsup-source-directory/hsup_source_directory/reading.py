"""Read control files, and refuse devices, FIFOs and others in their place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hsup.model import Fault
from hsup.visible import visible

#: The same as for a Procfile: the kernel passes at most some MiB of variables and words to a
#: process (man 2 execve), and dynos that write have to wait while a file is read.
MAX_BYTES = 2**20

#: They do not wait for a writer, as the file may have become a FIFO.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_control_file(path: Path) -> bytes | Fault:
    """Return the content of a control file, or its fault.

    Raises OSError, which is FileNotFoundError if there is no file.
    """
    obstacle = find_obstacle(path)
    if obstacle:
        return obstacle
    descriptor = open_control_file(path)
    try:
        return read_opened(descriptor)
    finally:
        os.close(descriptor)


def find_obstacle(
    path: Path | str, directory: int | None = None, *, follows_links: bool = True
) -> Fault | None:
    """Return the fault of a path that must not even be opened, or None.

    To open a device may have effects. Raises OSError, which is FileNotFoundError
    if there is no file.
    """
    try:
        mode = os.stat(path, dir_fd=directory, follow_symlinks=follows_links).st_mode
    except FileNotFoundError:
        os.stat(path, dir_fd=directory, follow_symlinks=False)
        target = os.readlink(path, dir_fd=directory)
        problem = f'must be a file, got a link to "{visible(target)}", which is missing'
        return Fault(place="", problem=problem)
    file_type = _KINDS.get(stat.S_IFMT(mode))
    return Fault(place="", problem=f"must be a file, got {file_type}") if file_type else None


def open_control_file(
    path: Path | str, directory: int | None = None, *, follows_links: bool = True
) -> int:
    """Open a control file for reading; never waits. Raises OSError."""
    return os.open(path, _FLAGS if follows_links else _FLAGS | os.O_NOFOLLOW, dir_fd=directory)


def read_opened(descriptor: int, most_bytes: int = MAX_BYTES) -> bytes | Fault:
    """Return the content of an open file, or the fault of one that is too large."""
    size = os.fstat(descriptor).st_size
    if size > most_bytes:
        problem = f"must be at most {most_bytes >> 20} MiB, got {size / 2**20:.1f} MiB"
        return Fault(place="", problem=problem)
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(most_bytes)
