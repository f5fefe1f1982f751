"""Count the lines of which the other end of a connection has every byte."""

from __future__ import annotations

from collections.abc import Sequence

from hsup.api import LogBatch
from hsup_log_drain.frames import Head, encode
from hsup_log_drain.syslog.lines import split_lines


def whole_lines(batches: Sequence[LogBatch], head: Head, taken_bytes: int) -> int:
    """Return how many lines at the beginning of batches the first bytes of their frames have.

    A line that is cut into several frames counts if all of these are there.
    """
    count = 0
    for batch in batches:
        lines = split_lines(batch.lines)
        size = _size(batch, head)
        if size > taken_bytes:
            return count + _whole(batch, lines, head, taken_bytes)
        count += len(lines)
        taken_bytes -= size
    return count


def _whole(batch: LogBatch, lines: Sequence[bytes], head: Head, taken_bytes: int) -> int:
    for count, line in enumerate(lines):
        taken_bytes -= _size(batch._replace(lines=line + b"\n"), head)
        if taken_bytes < 0:
            return count
    return len(lines)


def _size(batch: LogBatch, head: Head) -> int:
    return len(encode((batch,), head).data)
