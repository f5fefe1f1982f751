"""Keep the place up to which a spool has been delivered.

The file has two slots that are written in turn: when hsup is killed, one of them is whole.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple
from zlib import crc32

NAME = "position"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_PRIVATE = 0o600
_SLOT = struct.Struct("<QQQQ")
_CRC = struct.Struct("<I")
_SLOT_BYTES = 64


class Position(NamedTuple):
    """A place in a file of a spool, and how many lines of the file are before it."""

    number: int = 0
    offset: int = 0
    line_count: int = 0


class PositionFile:
    """The file of a position. Raises OSError if it cannot be opened."""

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, NAME)
        self._descriptor = os.open(self.path, _FLAGS, _PRIVATE)  # negative once it is closed
        slots = [self._slot(0), self._slot(1)]
        self._turn, *place = max(slots)
        self.position = Position(*place)

    def write(self, position: Position) -> None:
        """Note a position, in a few microseconds. Raises OSError."""
        self.position = position
        self._turn += 1
        slot = _SLOT.pack(self._turn, *position)
        slot += _CRC.pack(crc32(slot))
        os.pwrite(self._descriptor, slot, self._turn % 2 * _SLOT_BYTES)

    def sync(self) -> None:
        """Write the position to the disk. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; does nothing the second time."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _slot(self, index: int) -> tuple[int, int, int, int]:
        data = os.pread(self._descriptor, _SLOT.size + _CRC.size, index * _SLOT_BYTES)
        slot, crc = data[: _SLOT.size], data[_SLOT.size :]
        if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != crc32(slot):
            return 0, 0, 0, 0
        turn, number, offset, line_count = _SLOT.unpack(slot)
        return turn, number, offset, line_count
