"""Keep the latest log lines once, for all who read them later and at their own pace.

The lines are in a chain of segments. Whoever reads holds the segment where it stands, and each
segment the next one, so that what nobody needs any more is freed by itself.

    reader ──▶ segment ──▶ segment ──▶ segment ◀── the end, to which lines are added
                             ▲
                   reader ───┘
"""

from __future__ import annotations

import asyncio
import math
from array import array
from typing import NamedTuple, Protocol

from hsup.api import LogBatch

#: A segment is full with this many bytes of lines, or batches: what a slow reader drops at once.
_SEGMENT_BYTES = 1 << 18
_SEGMENT_BATCHES = 1 << 10
#: Dynos wait until a quick reader has read that much.
_SHORT_BYTES = 1 << 20
#: What a batch takes besides its lines, about: it counts as if its lines were that much longer.
_BATCH_BYTES = 80
_NEWLINE = b"\n"


def line_count(lines: bytes) -> int:
    """Return how many lines there are; a last one without a newline counts.

    Three times as fast as `bytes.count`, which looks at each byte (Python 3.11 to 3.13).
    """
    count = len(lines) - len(lines.replace(_NEWLINE, b""))
    return count if lines.endswith(_NEWLINE) else count + 1


class Segment:
    """Batches in order: what they have in common apart from their lines and times.

    A batch of one line of 100 bytes takes less than 200 bytes in all.
    """

    __slots__ = ("_heads", "_known", "_line_count", "_times", "after", "lines", "size")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.size = 0
        self.after: Segment | None = None
        self._heads: list[LogBatch] = []
        self._times = array("q")
        self._known: dict[object, LogBatch] = {}
        self._line_count: int | None = None

    def add(self, batch: LogBatch) -> None:
        """Add a batch at the end."""
        self.lines.append(batch.lines)
        self._times.append(batch.time)
        self._heads.append(self._head(batch))
        self.size += len(batch.lines) + _BATCH_BYTES

    def _head(self, batch: LogBatch) -> LogBatch:
        if (event := batch.event) is not None:
            return batch._replace(lines=b"", event=event._replace(of=None))  # not to keep releases
        origin = (*batch[1:4], *batch[5:])
        known = self._known.get(origin)
        if known is None:
            known = self._known[origin] = batch._replace(time=0, lines=b"")
        return known

    def batch(self, index: int, lines: bytes) -> LogBatch:
        """Return a batch with some of its lines."""
        return self._heads[index]._replace(time=self._times[index], lines=lines)

    def head(self, index: int) -> LogBatch:
        """Return a batch without its lines; its time may be missing."""
        return self._heads[index]

    def time(self, index: int) -> int:
        """Return when the lines of a batch were read, in nanoseconds since the epoch."""
        return self._times[index]

    @property
    def is_full(self) -> bool:
        """Tell whether the next batch begins another segment."""
        return self.size >= _SEGMENT_BYTES or len(self.lines) >= _SEGMENT_BATCHES

    @property
    def line_count(self) -> int:
        """Return how many lines a full segment has; counted once for all readers."""
        if self._line_count is None:
            self._line_count = sum(map(line_count, self.lines))
        return self._line_count


class Dropped(NamedTuple):
    """How many lines a reader has lost because it was too slow, and when the first was read."""

    line_count: int
    since: int


class Watcher(Protocol):
    """Something that has to act when a backlog has grown."""

    @property
    def alarm(self) -> float:
        """Return beyond which total of bytes `wake` is to be called."""

    def wake(self) -> None:
        """Act."""


class Pacing(Protocol):
    """Decides whether dynos wait for a reader."""

    def may_wait(self) -> bool:
        """Tell whether they may."""

    def begin(self, reader: BacklogReader) -> None:
        """Note that they wait from now on."""

    def end(self) -> None:
        """Note that they wait no longer."""


class Backlog:
    """The latest lines, as far as somebody has not read them yet."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self.last = Segment()
        self._watchers: set[Watcher] = set()
        self._alarm = math.inf  # the total at which a watcher has to act
        self._holding: set[BacklogReader] = set()
        self._released = asyncio.Event()

    def append(self, batch: LogBatch) -> None:
        """Add a batch."""
        if self.last.is_full:
            self.last.after = Segment()
            self.last = self.last.after
        self.last.add(batch)
        self.total_bytes += len(batch.lines) + _BATCH_BYTES
        if self.total_bytes > self._alarm:
            self._wake_watchers()

    @property
    def is_full(self) -> bool:
        """Tell whether dynos should wait a moment, for a reader that is about to catch up."""
        return bool(self._holding)

    async def drained(self) -> None:
        """Return when no reader has dynos wait."""
        while self._holding:
            self._released.clear()
            await self._released.wait()

    def hold(self, reader: BacklogReader) -> None:
        """Have dynos wait for a reader."""
        self._holding.add(reader)

    def release(self, reader: BacklogReader) -> None:
        """Have dynos wait no longer for a reader."""
        self._holding.discard(reader)
        self._released.set()

    def reader(
        self,
        most_bytes: int,
        pace: Pacing | None = None,
        *,
        only_dynos: bool = False,
    ) -> BacklogReader:
        """Return a reader of what comes from now on, which keeps at most that much unread.

        Once half of that is unread, dynos wait for it as far as `pace` lets them. With
        `only_dynos`, it leaves out what hsup itself says, and does not count that.
        """
        reader = BacklogReader(self, most_bytes, pace, only_dynos=only_dynos)
        self.watch(reader)
        return reader

    def watch(self, watcher: Watcher) -> None:
        """Wake a watcher when it wants to be."""
        self._watchers.add(watcher)
        self.look_again()

    def forget(self, watcher: Watcher) -> None:
        """Forget a watcher."""
        self._watchers.discard(watcher)
        self.look_again()

    def look_again(self) -> None:
        """Note when a watcher next has to act."""
        self._alarm = min((one.alarm for one in self._watchers), default=math.inf)

    def _wake_watchers(self) -> None:
        for watcher in self._watchers:
            if self.total_bytes > watcher.alarm:
                watcher.wake()
        self.look_again()


class BacklogReader:
    """Reads a backlog in order; beyond `most_bytes`, the oldest lines are dropped and counted."""

    def __init__(
        self,
        backlog: Backlog,
        most_bytes: int,
        pace: Pacing | None,
        *,
        only_dynos: bool = False,
    ) -> None:
        self._backlog = backlog
        self._most_bytes = most_bytes
        self._pace = pace
        self._only_dynos = only_dynos
        self._is_holding = False
        half = most_bytes // 2
        self._least_held_bytes = half - min(half // 4, _SHORT_BYTES)
        self._segment = backlog.last
        self._index = len(backlog.last.lines)
        self._offset = 0  # in the lines of that batch
        self._read_bytes = backlog.total_bytes
        self._dropped: Dropped | None = None
        self._wanted: asyncio.Event | None = None

    @property
    def read_bytes(self) -> int:
        """Return how many bytes of lines were read, or dropped."""
        return self._read_bytes

    @property
    def pending_bytes(self) -> int:
        """Return how many bytes of lines wait to be read."""
        return self._backlog.total_bytes - self._read_bytes

    @property
    def alarm(self) -> float:
        """Return beyond which total of bytes `wake` is to be called."""
        if self._wanted is not None:
            return self._read_bytes
        may_hold = not self._is_holding and self._pace is not None and self._pace.may_wait()
        return self._read_bytes + (self._most_bytes // 2 if may_hold else self._most_bytes)

    def wake(self) -> None:
        """Tell whoever waits for lines, and drop what is too much."""
        if self._wanted is not None:
            self._wanted.set()
            self._wanted = None
        if self.pending_bytes > self._most_bytes:
            self._drop()
        if self.pending_bytes > self._most_bytes // 2 and not self._is_holding:
            self._hold()

    def _hold(self) -> None:
        """Have dynos wait for this reader, if they may."""
        if self._pace is not None and self._pace.may_wait():
            self._is_holding = True
            self._backlog.hold(self)
            self._pace.begin(self)

    def release(self) -> None:
        """Have dynos wait no longer for this reader."""
        if self._is_holding:
            self._is_holding = False
            if self._pace is not None:
                self._pace.end()
            self._backlog.release(self)
            self._backlog.look_again()

    async def ready(self) -> None:
        """Return when there is something to read."""
        if self.pending_bytes:
            return
        self._wanted = wanted = asyncio.Event()
        self._backlog.look_again()
        try:
            await wanted.wait()
        finally:
            self._wanted = None

    def next(self, most_bytes: int) -> LogBatch | None:
        """Return the next lines, a batch or a part of one; None if there are none.

        A part has at most `most_bytes`, unless its first line alone is longer.
        """
        is_there = self._stand_at_wanted()
        if self._is_holding and self.pending_bytes <= self._least_held_bytes:
            self.release()
        if not is_there:
            return None
        segment, index, start = self._segment, self._index, self._offset
        lines = segment.lines[index]
        end = len(lines)
        if end - start > most_bytes:
            cut = lines.rfind(_NEWLINE, start, start + most_bytes) + 1
            end = cut or (lines.find(_NEWLINE, start) + 1 or end)
        self._read_bytes += end - start
        if end < len(lines):
            self._offset = end
            # Only the last line of a batch may go on in the next one.
            return segment.batch(index, lines[start:end])._replace(is_partial=False)
        self._index, self._offset = index + 1, 0
        self._read_bytes += _BATCH_BYTES
        return segment.batch(index, lines[start:] if start else lines)

    def dropped(self) -> Dropped | None:
        """Return what was dropped since the last call, None if nothing was."""
        dropped, self._dropped = self._dropped, None
        return dropped

    def line_count(self) -> int:
        """Return how many lines wait to be read."""
        count, segment, index, offset = 0, self._segment, self._index, self._offset
        while True:
            count += self._count_from(segment, index, offset)
            if segment.after is None:
                return count
            segment, index, offset = segment.after, 0, 0

    def close(self) -> None:
        """Let the backlog forget what only this reader has not read."""
        self.release()
        self._backlog.forget(self)

    def _stand(self) -> bool:
        """Step to where the next lines are; return whether there are any."""
        while self._index >= len(self._segment.lines):
            if self._segment.after is None:
                return False
            self._segment, self._index, self._offset = self._segment.after, 0, 0
        return True

    def _stand_at_wanted(self) -> bool:
        """Step over batches that are left out; return whether there are other ones."""
        while self._stand():
            if self._is_wanted(self._segment, self._index):
                return True
            left = len(self._segment.lines[self._index]) - self._offset
            self._read_bytes += left + _BATCH_BYTES
            self._index, self._offset = self._index + 1, 0
        return False

    def _is_wanted(self, segment: Segment, index: int) -> bool:
        return not self._only_dynos or segment.head(index).event is None

    def _count_from(self, segment: Segment, index: int, offset: int) -> int:
        """Return how many lines of a segment there are from a position on."""
        count = 0
        for number in range(index, len(segment.lines)):
            if self._is_wanted(segment, number):
                count += line_count(segment.lines[number][offset:])
            offset = 0
        return count

    def _drop(self) -> None:
        """Drop the oldest segments, the one where new lines are added as the last."""
        since = self._segment.time(self._index) if self._stand_at_wanted() else 0
        count = 0
        while self.pending_bytes > self._most_bytes and self._stand():
            count += self._drop_segment()
        if not count:  # nothing was dropped that is not left out
            return
        before = self._dropped
        self._dropped = (
            Dropped(count, since)
            if before is None
            else before._replace(line_count=before.line_count + count)
        )

    def _drop_segment(self) -> int:
        """Drop what is left of the segment; return how many lines that is."""
        segment, index, offset = self._segment, self._index, self._offset
        self._index, self._offset = len(segment.lines), 0
        if not (index or offset or self._only_dynos) and segment.is_full:
            self._read_bytes += segment.size
            return segment.line_count
        batches = len(segment.lines) - index
        self._read_bytes += sum(map(len, segment.lines[index:])) - offset + _BATCH_BYTES * batches
        return self._count_from(segment, index, offset)
