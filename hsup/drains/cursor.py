"""The place in a spool up to which it has been read."""

from __future__ import annotations

from hsup.api import LogBatch
from hsup.drains import records
from hsup.drains.position import Position
from hsup.drains.segments import Loaded, Part, Segment
from hsup.output.backlog import line_count


class Cursor:
    """Reads one file after the other, from parts that were loaded."""

    def __init__(self) -> None:
        self.number = 0  # of the file
        self.line_count = 0  # in the file, before this place
        self.offset = records.HEADER_BYTES
        self._data, self._data_start = b"", 0

    @property
    def position(self) -> Position:
        """Return this place."""
        return Position(self.number, self.offset, self.line_count)

    def go_to(self, position: Position) -> None:
        """Continue at another place."""
        self.number, self.offset, self.line_count = position
        self._data, self._data_start = b"", 0

    def enter(self, number: int) -> None:
        """Continue at the beginning of a file."""
        self.go_to(Position(number, records.HEADER_BYTES, 0))

    def to_load(self, segment: Segment) -> Part | None:
        """Return what is to be loaded before anything can be taken, None if nothing is."""
        if self.offset >= segment.size or self.offset < self._data_start + len(self._data):
            return None
        return Part(segment, segment.path, self.offset, segment.size)

    def load(self, part: Part, loaded: Loaded) -> None:
        """Take a part that was loaded."""
        if (part.segment.number, part.start) != (self.number, self.offset):
            return  # there was no room for it meanwhile
        if loaded.mark is None or not loaded.data:
            if part.path == part.segment.path:  # else it was renamed before it was read
                part.segment.is_damaged = True
                self.offset = part.segment.size
        else:
            part.segment.mark = loaded.mark
            self._data, self._data_start = loaded.data, part.start

    def take(self, segment: Segment) -> LogBatch | None:
        """Return the next batch of what was loaded, None if that is damaged."""
        assert segment.mark is not None
        batch, end = records.piece(self._data, self.offset - self._data_start, segment.mark)
        self.offset = self._data_start + end
        if end == len(self._data):
            self._data, self._data_start = b"", 0
        if batch is None:
            segment.is_damaged = True
        else:
            self.line_count += line_count(batch.lines)
        return batch
