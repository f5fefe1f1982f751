"""Write files that are complete when they appear, even after a power cut at any moment."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o600
#: The suffix of a file that is not complete yet; a crash leaves such a file.
UNFINISHED = ".new"


def write_durably(
    path: str,
    content: bytes,
    *,
    mode: int = _PRIVATE,
    owner: tuple[int, int] | None = None,
    work: str | None = None,
    directory: int | None = None,
) -> None:
    """Replace a file so that after a crash either the old or the new one is there, complete.

    `work` is the name of the file until it is complete; a file that a crash left there is
    replaced. Without `work` the name is unique, so that any number of processes may write the
    file at the same time. `owner` is the user and the group that get the file. With `directory`,
    the descriptor of a directory, both names are in that directory. Raises OSError, and leaves
    no file then.
    """
    work = work or f"{path}.{os.urandom(8).hex()}{UNFINISHED}"
    descriptor = _create(work, mode, directory)
    try:
        try:
            if owner is not None:
                os.fchown(descriptor, *owner)
            _write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(work, path, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(work, dir_fd=directory)
        raise
    sync(os.path.dirname(path) or "." if directory is None else directory)


def rename_durably(path: str, other: str) -> None:
    """Rename a file that is on the disk, replacing any other file. Raises OSError."""
    os.rename(path, other)
    sync(os.path.dirname(other) or ".")


def sync(file: str | int) -> None:
    """Write a file, or the names in a directory, to the disk; by a path or a descriptor."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC) if isinstance(file, str) else file
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync directories (man 2 fsync)
            raise
    finally:
        if isinstance(file, str):
            os.close(descriptor)


def _create(work: str, mode: int, directory: int | None) -> int:
    try:
        return os.open(work, _FLAGS, mode, dir_fd=directory)
    except FileExistsError:
        os.unlink(work, dir_fd=directory)
        return os.open(work, _FLAGS, mode, dir_fd=directory)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
