"""Tell whether files have changed since they were last looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple


class FileSignature(NamedTuple):
    """What changes with a file: inodes, times in nanoseconds, and the size in bytes.

    `changed` is when the kernel last changed it (man 7 inode, ctime), which nobody can set back,
    as programs do with `modified`.
    """

    directory: int
    inode: int
    modified: int
    changed: int
    size: int


def signature(path: str | os.PathLike[str]) -> FileSignature | None:
    """Return what changes with a file, None if it is not there."""
    try:
        directory, file = os.stat(os.path.dirname(path) or "."), os.stat(path)
    except OSError:
        return None
    return FileSignature(
        directory.st_ino, file.st_ino, file.st_mtime_ns, file.st_ctime_ns, file.st_size
    )


def signatures(paths: Iterable[str | os.PathLike[str]]) -> tuple[FileSignature | None, ...]:
    """Return what changes with files, None for each that is not there."""
    return tuple(map(signature, paths))
