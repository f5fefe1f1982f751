"""Walk a directory tree by descriptors, so that links put there meanwhile are not followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from hsup.errors import DriverError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: A file may have been replaced by a link, a pipe without a writer, or a terminal.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: Each level holds a descriptor.
_MOST_LEVELS = 200
#: The errors for a file that was replaced (man 2 open).
_REPLACED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO})


class Entry(NamedTuple):
    """A file below a directory; the descriptor `parent` is open while it is visited."""

    path: str
    parent: int
    name: str
    status: os.stat_result

    def target(self) -> str:
        """Return the target of a symbolic link. Raises OSError."""
        with _path_added(self.path):
            return os.readlink(self.name, dir_fd=self.parent)

    def open(self) -> int:
        """Open a regular file for reading. Raises OSError if it was replaced."""
        with _path_added(self.path):
            descriptor = os.open(self.name, _FILE, dir_fd=self.parent)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise _replaced(self.path)


class _Level(NamedTuple):
    path: str
    descriptor: int
    entries: Iterator[os.DirEntry[str]]


def walk(directory: str) -> Iterator[Entry]:
    """Yield a directory, with an empty path, and all that is below, directories before their files.

    Files that are removed meanwhile are left out. Raises OSError for one that is replaced.
    """
    top = os.open(directory, _DIRECTORY)
    levels = [_level("", top)]
    try:
        yield Entry("", top, ".", os.fstat(top))
        while levels:
            listed = next(levels[-1].entries, None)
            if listed is None:
                os.close(levels.pop().descriptor)
                continue
            entry = _entry(levels[-1], listed)
            if entry is None:
                continue
            if stat.S_ISDIR(entry.status.st_mode):
                descriptor = _descend(entry, len(levels))
                if descriptor is None:
                    continue
                levels.append(_level(entry.path, descriptor))
                entry = entry._replace(status=os.fstat(descriptor))
            yield entry
    finally:
        for level in levels:
            os.close(level.descriptor)


def unreadable(error: BaseException) -> DriverError:
    """Return the error for a directory that could not be read."""
    reason = getattr(error, "strerror", None) or str(error)
    path = getattr(error, "filename", None)
    text = f"cannot read the files of the slug: {reason}"
    failure = DriverError(f"{text}: {path}" if path else text)
    failure.__cause__ = error
    return failure


def _level(path: str, descriptor: int) -> _Level:
    """Return the sorted entries of a directory; close its descriptor if they cannot be listed."""
    try:
        with os.scandir(descriptor) as entries:
            return _Level(path, descriptor, iter(sorted(entries, key=lambda entry: entry.name)))
    except BaseException:
        os.close(descriptor)
        raise


def _entry(level: _Level, listed: os.DirEntry[str]) -> Entry | None:
    try:
        status = listed.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # it was just removed
    return Entry(f"{level.path}/{listed.name}", level.descriptor, listed.name, status)


def _descend(entry: Entry, depth: int) -> int | None:
    if depth >= _MOST_LEVELS:
        text = f"directories are nested more than {_MOST_LEVELS} deep"
        raise OSError(errno.ENAMETOOLONG, text, entry.path)
    try:
        with _path_added(entry.path):
            return os.open(entry.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=entry.parent)
    except FileNotFoundError:
        return None  # it was just removed


class _path_added:  # noqa: N801 - used like contextlib's; faster, as every file enters it
    """Put the path below the directory into an OSError."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, OSError):
            if error.errno in _REPLACED:
                raise _replaced(self._path) from error
            error.filename = self._path


def _replaced(path: str) -> OSError:
    return OSError(errno.ESTALE, "it was replaced while it was read", path)
