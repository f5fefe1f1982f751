"""How much of a container's output was passed on: what an hsup that takes it over goes on from.

It is kept in memory that the kernel shares with a file, so that it outlives the
process that wrote it, whatever ended that.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import NamedTuple

_LAYOUT = struct.Struct("<QQQQ")

#: An engine forgets old output, and so what bytes would be counted from.
_MOST_COUNTED_BYTES = 4 << 20
#: Longer than output is on its way from a dyno to hsup.
_OVERLAP_NANOSECONDS = 10**9


class Position(NamedTuple):
    """All output before `since` was passed on, and so many bytes of each output after it.

    Times are in nanoseconds since the epoch. `known_at` is when it was so.
    """

    since: int = 0
    stdout: int = 0
    stderr: int = 0
    known_at: int = 0

    def start(self) -> Position:
        """Return where to go on: here, or a second back where too much would be counted."""
        if self.stdout + self.stderr <= _MOST_COUNTED_BYTES:
            return self
        return Position(max(0, self.known_at - _OVERLAP_NANOSECONDS))

    @property
    def since_text(self) -> str:
        """Return the point of time as the Engine API takes it."""
        return f"{self.since // 10**9}.{self.since % 10**9:09}"


class PositionFile:
    """The position of one container's output; `path` need not exist yet."""

    def __init__(self, path: str) -> None:
        self._path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _LAYOUT.size)  # a hole could kill us on a full disk
            self._memory = mmap.mmap(descriptor, _LAYOUT.size)
        finally:
            os.close(descriptor)

    def read(self) -> Position:
        """Return it; from the beginning on where nothing was written yet."""
        return Position(*_LAYOUT.unpack_from(self._memory))

    def write(self, position: Position) -> None:
        """Replace it."""
        _LAYOUT.pack_into(self._memory, 0, *position)

    def leave(self) -> None:
        """Close the file, and keep what is in it."""
        self._memory.close()

    def remove(self) -> None:
        """Forget it for good: the container is no more."""
        self._memory.close()
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # with the folder of the hsup that it was of
