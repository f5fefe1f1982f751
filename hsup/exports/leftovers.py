"""Find the files that an earlier export of an application left in a directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from contextlib import suppress

#: Where the mark of hsup stands in a file.
_HEAD_BYTES = 300


def leftovers(directory: str, written: Container[str], mark: str) -> Iterator[str]:
    """Yield the paths of files with the mark of an application that were not written again.

    Links, such as those of `systemctl link`, are none. Raises OSError.
    """
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        with suppress(PermissionError):  # another user's
            if entry.name not in written and has_mark(entry.path, mark):
                yield entry.path


def has_mark(path: str, mark: str) -> bool:
    """Tell whether a file has the mark of an application.

    Raises PermissionError if it may not be read.
    """
    return mark.encode() in (line.lstrip(b"#; ") for line in _head(path).splitlines())


def _head(path: str) -> bytes:
    """Return how a file begins, nothing for what is not a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise
    except OSError:
        return b""
    with suppress(OSError), open(descriptor, "rb") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return file.read(_HEAD_BYTES)
    return b""
