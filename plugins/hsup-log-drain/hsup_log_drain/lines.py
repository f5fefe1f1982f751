"""Split and count the lines of a block, of which a destination may have the first ones."""

from __future__ import annotations

from collections.abc import Sequence

from hsup.api import LogBatch

_NEWLINE = b"\n"


def split_lines(text: bytes) -> list[bytes]:
    """Return lines without their newlines, which the last one may lack."""
    lines = text.split(_NEWLINE)
    if not lines[-1]:
        lines.pop()  # which is after the last newline
    return lines


def line_count(lines: bytes) -> int:
    """Return how many lines there are; a last one without a newline counts."""
    count = lines.count(_NEWLINE)
    return count if lines.endswith(_NEWLINE) else count + 1


def without_lines(batches: Sequence[LogBatch], count: int) -> list[LogBatch]:
    """Return batches without their first lines."""
    left = list(batches)
    while count > 0 and left:
        lines = line_count(left[0].lines)
        if lines > count:
            rest = left[0].lines.split(_NEWLINE, count)[-1]
            left[0] = left[0]._replace(lines=rest)
            break
        del left[0]
        count -= lines
    return left


class Progress:
    """How much of a block a destination has, for when the block is tried again.

    What is left out of it then are its first lines.
    """

    def __init__(self) -> None:
        self._block = ""
        self._missing = 0

    def is_at(self, block: str) -> bool:
        """Tell whether the block with that id was begun last."""
        return self._block == block

    def begin(self, block: str, batches: Sequence[LogBatch]) -> int:
        """Return how many lines of a block with that id the destination has already."""
        count = sum(line_count(batch.lines) for batch in batches)
        known = max(count - self._missing, 0) if self.is_at(block) else 0
        self._block, self._missing = block, count - known
        return known

    def add(self, lines: int) -> None:
        """Note that the destination has more lines."""
        self._missing -= lines
