"""Write files that appear whole, and stay so whenever the machine loses its power."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o600
#: How a name ends until its file is whole; a crash leaves such a file.
UNFINISHED = ".new"


def write_durably(
    path: str,
    content: bytes,
    *,
    mode: int = _PRIVATE,
    owner: tuple[int, int] | None = None,
    work: str | None = None,
    folder: int | None = None,
) -> None:
    """Replace a file so that after a crash the old or the new one is there, whole.

    `work` is what it is called until it is whole. Without one, the name is one that nobody else
    uses, so that any number of processes may write the file at the same time; with one, what a
    crash left there is replaced. `owner` are a user and a group to give the file to; of a
    `folder` that is open, both names are in it. Raises OSError, and leaves nothing then.
    """
    work = work or f"{path}.{os.urandom(8).hex()}{UNFINISHED}"
    descriptor = _create(work, mode, folder)
    try:
        try:
            if owner is not None:
                os.fchown(descriptor, *owner)
            _write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(work, path, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(work, dir_fd=folder)
        raise
    sync(os.path.dirname(path) or "." if folder is None else folder)


def rename_durably(path: str, other: str) -> None:
    """Give a file that is on the disk the place of another, or of none. Raises OSError."""
    os.rename(path, other)
    sync(os.path.dirname(other) or ".")


def sync(place: str | int) -> None:
    """Return when a file, or the names in a folder, are on the disk; an open one or a path."""
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC) if isinstance(place, str) else place
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what has no folders to sync (man 2 fsync)
            raise
    finally:
        if isinstance(place, str):
            os.close(descriptor)


def _create(work: str, mode: int, folder: int | None) -> int:
    try:
        return os.open(work, _FLAGS, mode, dir_fd=folder)
    except FileExistsError:
        os.unlink(work, dir_fd=folder)
        return os.open(work, _FLAGS, mode, dir_fd=folder)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
