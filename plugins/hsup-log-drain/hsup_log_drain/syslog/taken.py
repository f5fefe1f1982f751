"""Count the lines of which the other end of a connection has every byte."""

from __future__ import annotations

from collections.abc import Sequence

from hsup.api import LogBatch
from hsup_log_drain.frames import Head, line_sizes
from hsup_log_drain.lines import split_lines


def whole_lines(batches: Sequence[LogBatch], head: Head, taken_bytes: int) -> int:
    """Return how many lines at the beginning of batches the first bytes of their frames have.

    A line that is cut into several frames counts if all of these are there.
    """
    count = 0
    for batch in batches:
        for size in line_sizes(split_lines(batch.lines), len(head(batch))):
            taken_bytes -= size
            if taken_bytes < 0:
                return count
            count += 1
    return count
