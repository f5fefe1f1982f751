"""The position up to which the output of a container was passed on.

An hsup that adopts the container continues from there. The position is kept in memory that is
shared with a file, so that it outlives the process that wrote it, even one that was killed.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import NamedTuple

_LAYOUT = struct.Struct("<QQQQ")

#: An engine drops old output, from which bytes would be counted.
_MOST_COUNTED_BYTES = 4 << 20
#: Longer than output takes from a dyno to hsup.
_OVERLAP_NANOSECONDS = 10**9


class Position(NamedTuple):
    """All output before `since` was passed on, and the given bytes of each output after it.

    Times are in nanoseconds since the epoch. `known_at` is when this was true.
    """

    since: int = 0
    stdout: int = 0
    stderr: int = 0
    known_at: int = 0

    def start(self) -> Position:
        """Return where to continue: here, or a second earlier if too much would be counted."""
        if self.stdout + self.stderr <= _MOST_COUNTED_BYTES:
            return self
        return Position(max(0, self.known_at - _OVERLAP_NANOSECONDS))

    @property
    def since_text(self) -> str:
        """Return `since` in the format of the Engine API."""
        return f"{self.since // 10**9}.{self.since % 10**9:09}"


class PositionFile:
    """The file with the position of one container; made if it does not exist."""

    def __init__(self, path: str) -> None:
        self._path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _LAYOUT.size)  # or SIGBUS on a full disk
            self._memory = mmap.mmap(descriptor, _LAYOUT.size)
        finally:
            os.close(descriptor)

    def read(self) -> Position:
        """Return the position, at the beginning if none was written yet."""
        return Position(*_LAYOUT.unpack_from(self._memory))

    def write(self, position: Position) -> None:
        """Replace the position."""
        _LAYOUT.pack_into(self._memory, 0, *position)

    def leave(self) -> None:
        """Close the file, and keep it."""
        self._memory.close()

    def remove(self) -> None:
        """Close and remove the file, as the container is removed."""
        self._memory.close()
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # it was removed with the directory of its instance
