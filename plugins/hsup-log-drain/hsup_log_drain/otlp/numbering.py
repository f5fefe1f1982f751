"""Give lines that were read at once times that are in order."""

from __future__ import annotations

from hsup.api import LogBatch

#: Streams that are remembered; most of these are of dynos that have ended.
_STREAMS = 1024


class Numbering:
    """Adds a nanosecond for each line that was read together with those before it.

    Whoever sorts lines by their times gets each stream in order then. All lines of a batch were
    read at once, and so were those of the batches that hsup makes of a larger one, which have the
    same time.
    """

    def __init__(self) -> None:
        self._next: dict[tuple[str, str, str], tuple[int, int]] = {}

    def times(self, batch: LogBatch, line_count: int) -> range:
        """Return the times of the lines of a batch, in nanoseconds since the epoch."""
        stream = (batch.source, batch.dyno, batch.stream)
        read, start = self._next.get(stream, (batch.time, batch.time))
        if read != batch.time:
            start = batch.time
        if len(self._next) >= _STREAMS:
            self._next.clear()
        self._next[stream] = (batch.time, start + line_count)
        return range(start, start + line_count)
