"""Fill blocks with lines, one after the other."""

from __future__ import annotations

import os
from typing import NamedTuple

from hsup.api import LogBatch
from hsup.log_drain import DrainLimits, LogBlock
from hsup.output.backlog import line_count
from hsup.output.losses import Loss, told

_NEWLINE = b"\n"


class Outgoing(NamedTuple):
    """A block, what it tells of losses, and when its first line was read (ns since the epoch).

    `through` is the number of the last batch that is complete with it, -1 if there is none.
    """

    block: LogBlock
    losses: tuple[Loss, ...]
    since: int
    through: int = -1


class Filling:
    """A block that is being filled."""

    __slots__ = ("_batches", "_byte_count", "_is_closed", "_limits", "line_count", "through")

    def __init__(self, limits: DrainLimits) -> None:
        self._limits = limits
        self._batches: list[LogBatch] = []
        self._byte_count = 0
        self._is_closed = False
        self.line_count = 0
        self.through = -1

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no line yet."""
        return not self._batches

    @property
    def is_full(self) -> bool:
        """Tell whether there is no room for another line."""
        return self._is_closed or self.line_count >= self._limits.lines

    def add(self, batch: LogBatch) -> LogBatch | None:
        """Add the lines of a batch as far as there is room; return the rest, None if all are in.

        A line that is longer than a block may be has one of its own.
        """
        end = self._room(batch.lines)
        first, rest = _cut(batch, end)
        if first is not None:
            count = line_count(first.lines)
            if (room := self._limits.lines - self.line_count) < count:
                first, rest = _cut(batch, _end_of_line(first.lines, room))
                count = room
            assert first is not None
            self._batches.append(first)
            self._byte_count += len(first.lines)
            self.line_count += count
        self._is_closed = rest is not None or self._byte_count >= self._limits.bytes
        return rest

    def _room(self, lines: bytes) -> int:
        """Return how many bytes of lines there is room for, as whole lines."""
        room = self._limits.bytes - self._byte_count
        if len(lines) <= room:
            return len(lines)
        whole = lines.rfind(_NEWLINE, 0, room) + 1
        if whole or self._batches:
            return whole
        return _end_of_line(lines, 1)

    def sealed(self, losses: tuple[Loss, ...]) -> Outgoing:
        """Return the block; what was lost before is told first."""
        batches = [*map(told, losses), *self._batches]
        block = LogBlock(os.urandom(16).hex().upper(), batches, self.line_count)
        since = batches[len(losses)].time if self._batches else 0
        return Outgoing(block, losses, since, self.through)


def without_taken(outgoing: Outgoing, taken: int) -> Outgoing:
    """Return what is left of a block of which the destination has some lines."""
    batches, losses = list(outgoing.block.batches), outgoing.losses
    count = outgoing.block.line_count
    while taken > 0 and batches:
        lines = line_count(batches[0].lines)
        if losses:
            losses = losses[1:]
        else:
            count -= min(lines, taken)
        if lines <= taken:
            del batches[0]
        else:
            rest = _cut(batches[0], _end_of_line(batches[0].lines, taken))[1]
            assert rest is not None
            batches[0] = rest
        taken -= lines
    block = outgoing.block._replace(batches=batches, line_count=count)
    return outgoing._replace(block=block, losses=losses)


def _cut(batch: LogBatch, end: int) -> tuple[LogBatch | None, LogBatch | None]:
    """Return the lines of a batch before and after a position, None where there are none."""
    lines = batch.lines
    if end >= len(lines):
        return batch, None
    rest = batch._replace(lines=lines[end:])
    # Only the last line of a batch may go on in the next one.
    return (batch._replace(lines=lines[:end], is_partial=False) if end else None), rest


def _end_of_line(lines: bytes, number: int) -> int:
    """Return where a line ends, counted from 1; the end of all if there are fewer."""
    parts = lines.split(_NEWLINE, number)
    return len(lines) - len(parts[-1]) if len(parts) > number else len(lines)
