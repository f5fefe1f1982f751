"""Format lines for one file, where lines that came in pieces are whole again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hsup.api import LogBatch
from hsup.formats.formatters import Formatter
from hsup_log_drain.lines import line_count

_NEWLINE = b"\n"
#: Where a line comes from: source, dyno and stream.
Origin = tuple[str, str, str]


class FileEnd(NamedTuple):
    """How a file ends: with a line that goes on, or with a part of one that was not written.

    `halfway` is where the line comes from that goes on. `torn` is what was written of a line
    before an error, and `rest` what was not: a formatter may format the line differently by now.
    Without `rest`, the line is never completed.
    """

    halfway: Origin | None = None
    torn: bytes = b""
    rest: bytes = b""


WHOLE = FileEnd()


class Text:
    """What is to be written of some batches, after what a file ends with.

    If the end has a `rest`, it is that of their first line. `start` is how much of `data` the
    file has already.
    """

    def __init__(self, form: Formatter, batches: Sequence[LogBatch], end: FileEnd = WHOLE) -> None:
        self._batches = batches
        self._end = end
        is_lost = bool(end.torn) and not end.rest  # the torn line ends here
        self._format(form, None if is_lost else end.halfway, begins_late=is_lost)
        self.start = len(end.torn) if end.rest else 0

    def written(self, size: int) -> tuple[int, FileEnd]:
        """Return how many lines the first bytes of `data` have, and how the file ends then."""
        if size <= self.start:
            return 0, self._end
        lines, halfway = 0, self._halfway
        for batch, piece in zip(self._batches, self._pieces, strict=True):
            if size < len(piece.data):
                more, end = piece.written(size, halfway)
                return lines + more, end
            size -= len(piece.data)
            lines += line_count(batch.lines)
            halfway = piece.halfway
        return lines, FileEnd(halfway)

    def _format(self, form: Formatter, halfway: Origin | None, *, begins_late: bool) -> None:
        self._halfway = halfway
        self._pieces: list[_Piece] = []
        for batch in self._batches:
            origin = (batch.source, batch.dyno, batch.stream)
            goes_on = halfway == origin
            begins_late = begins_late or (halfway is not None and not goes_on)
            data = form(batch, goes_on=goes_on)
            if not (batch.is_partial or data.endswith(_NEWLINE)):
                data += _NEWLINE
            if self._end.rest and not self._pieces:
                data = self._end.torn + self._end.rest + data[_line_end(data, 0) :]
            halfway = None if data.endswith(_NEWLINE) else origin
            self._pieces.append(
                _Piece(_NEWLINE + data if begins_late else data, begins_late, halfway)
            )
            begins_late = False
        self.data = b"".join(piece.data for piece in self._pieces)


class _Piece(NamedTuple):
    """One batch as text, after the end of another line if `begins_late`."""

    data: bytes
    begins_late: bool
    halfway: Origin | None

    def written(self, size: int, halfway: Origin | None) -> tuple[int, FileEnd]:
        """Return what Text.written does, for less than all of the data."""
        start = int(self.begins_late)
        if size >= start > 0:
            halfway = None
        whole, newline, torn = self.data[start:size].rpartition(_NEWLINE)
        rest = self.data[size : _line_end(self.data, size)] if torn else b""
        if newline:
            return whole.count(_NEWLINE) + 1, FileEnd(None, torn, rest)
        return 0, FileEnd(halfway, torn, rest)


def _line_end(data: bytes, start: int) -> int:
    """Return where the line at a position ends, its newline included."""
    return data.find(_NEWLINE, start) + 1 or len(data)
