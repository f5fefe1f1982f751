"""Keep batches in files, in order, until they are acknowledged.

append ──▶ newest file ◀── next: each file is read after the one before ──▶ given, in order
                                                                              │ acknowledged
oldest file: removed once all of it is acknowledged, or there is no room      ▼
                                                                           position

What is appended is in the page cache, and survives a SIGKILL of hsup at once, but a crash of the
machine only when it is synced. All that is not acknowledged is given again to the next hsup. What
was dropped and not told yet is told by no one if hsup is killed.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from hsup.api import LogBatch
from hsup.drains import records, segments
from hsup.drains.cursor import Cursor
from hsup.drains.position import Position, PositionFile
from hsup.drains.segments import Loaded, Part, Segment, Torn
from hsup.output.backlog import Dropped, line_count

#: A file is full with this many bytes, or with a quarter of the spool.
SEGMENT_BYTES = 1 << 22
_LEAST_SEGMENTS = 4


class Damage(NamedTuple):
    """A file that is damaged, as it is called when it is put aside, and how many lines it lost."""

    path: str
    line_count: int


class _Given(NamedTuple):
    """Lines that were given, how many bytes of files they are, and the position after them.

    The position is None if they are in no file.
    """

    line_count: int
    size: int = 0
    position: Position | None = None


class Spool:
    """The files of a directory that nobody else uses. Raises OSError if they cannot be read.

    What a previous hsup left in it is given first; `torn` is what was cut off of it before.
    Nothing waits for anything but the disk.
    """

    def __init__(self, directory: str, most_bytes: int, torn: Iterable[Torn] = ()) -> None:
        self.directory = directory
        #: How many bytes of files are given again after a crash, besides what is in no file yet.
        self.given_bytes = 0
        #: Descriptors of full files that are not on the disk yet.
        self.unsynced: deque[int] = deque()
        #: How large files are.
        self.segment_bytes = min(SEGMENT_BYTES, most_bytes // _LEAST_SEGMENTS)
        self._most_bytes = most_bytes
        self._damages: list[Damage] = []
        self._dropped: Dropped | None = None
        self._given: deque[_Given] = deque()
        self._acknowledged = 0
        self._cursor = Cursor()
        self._writing: int | None = None  # the descriptor of the newest file
        self._position = PositionFile(directory)
        self._aside = deque(segments.damaged_files(directory))
        found, cut_off = segments.found(directory)
        self._segments = deque(found)
        self._used_bytes = sum(one.size for one in found) + sum(size for _, size in self._aside)
        #: How many lines are to be read.
        self.unread_lines = sum(one.line_count for one in found)
        for one in (*torn, *cut_off):
            self._note_dropped(one.line_count, one.time)
        self._return_to(self._position.position)

    @property
    def kept_lines(self) -> int:
        """Return how many lines are in the files, and not acknowledged."""
        return self.unread_lines + sum(
            one.line_count for one in self._given if self._is_kept(one.position)
        )

    @property
    def given_lines_not_kept(self) -> int:
        """Return how many lines were given and are not acknowledged that are in no file."""
        return sum(one.line_count for one in self._given if not self._is_kept(one.position))

    def append(self, batches: Sequence[LogBatch]) -> None:
        """Add batches to the newest file; the oldest one is dropped if there is no room.

        Raises OSError if they cannot be written; none of them is in a file then.
        """
        newest = self._with_room(sum(len(one.lines) for one in batches))
        assert newest.mark is not None
        data = b"".join([records.encode(one, newest.mark) for one in batches])
        self._make_room(len(data))
        self._write(newest, data)
        lines = sum(line_count(one.lines) for one in batches)
        newest.line_count += lines
        self.unread_lines += lines

    def has_next(self) -> bool:
        """Tell whether there is something to read."""
        segment = self._current()
        return segment is not None and self._cursor.offset < segment.size

    def next(self) -> LogBatch | None:
        """Return the next batch; None if there is none, or a part has to be loaded first."""
        while (segment := self._current()) is not None and self._cursor.offset < segment.size:
            if (part := self._cursor.to_load(segment)) is not None:
                if not self._is_written(segment):
                    return None
                self._cursor.load(part, self._read_newest(part))
                continue
            before = self._cursor.position
            if (batch := self._cursor.take(segment)) is not None:
                self._give(before, self._cursor.position)
                return batch
            if self._is_written(segment):  # it is left only when it is full
                with suppress(OSError):
                    self._seal()
        return None

    @property
    def to_load(self) -> Part | None:
        """Return what is to be read and given to `load` before `next` returns more.

        The newest file is read by `next` itself: it may get another name meanwhile.
        """
        segment = self._current()
        if segment is None or self._is_written(segment):
            return None
        return self._cursor.to_load(segment)

    def load(self, part: Part, loaded: Loaded) -> None:
        """Take what was read of a part."""
        self._cursor.load(part, loaded)

    def give_other(self, batch: LogBatch) -> None:
        """Count a batch that is given without having been in a file."""
        self._given.append(_Given(line_count(batch.lines)))

    def acknowledge(self, count: int) -> None:
        """Forget the first so many of all batches that were given."""
        position = None
        while self._acknowledged < count:
            given = self._given.popleft()
            self._acknowledged += 1
            self.given_bytes -= given.size
            position = given.position or position
        if position is not None:
            self._settle(position if self.given_bytes else self._cursor.position)

    def free(self) -> None:
        """Remove also the newest file if all of it is acknowledged. Raises OSError."""
        if not self.given_bytes and not self.has_next():
            self._seal()
            self._settle(self._cursor.position)

    def dropped(self) -> Dropped | None:
        """Return what was dropped since the last call, None if nothing was."""
        dropped, self._dropped = self._dropped, None
        return dropped

    def take_damages(self) -> Sequence[Damage]:
        """Return which files were found damaged since the last call."""
        damages, self._damages = self._damages, []
        return damages

    def sync_full(self) -> None:
        """Write full files to the disk; may be called in any thread. Raises OSError."""
        while self.unsynced:
            descriptor = self.unsynced.popleft()
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def sync(self) -> None:
        """Write everything to the disk; may be called in any thread. Raises OSError."""
        self.sync_full()
        if self._writing is not None:
            os.fsync(self._writing)
        self._position.sync()
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Release everything; remove the files if all is acknowledged."""
        is_empty = not self.kept_lines
        with suppress(OSError):
            self._seal()
        while self.unsynced:
            os.close(self.unsynced.popleft())
        self._position.close()
        if is_empty:
            for segment in self._segments:
                segment.remove()
            with suppress(OSError):
                os.unlink(self._position.path)

    # What is appended.

    def _with_room(self, size: int) -> Segment:
        """Return the newest file, another one if it is full. Raises OSError."""
        if self._writing is not None:
            newest = self._segments[-1]
            has_records = newest.size > records.HEADER_BYTES
            if not has_records or newest.size + size <= self.segment_bytes:
                return newest
            self._seal()
        last = self._segments[-1].number if self._segments else 0
        number = 1 + max(last, self._cursor.number, self._position.position.number)
        segment, self._writing = segments.make(self.directory, number)
        self._segments.append(segment)
        self._used_bytes += segment.size
        return segment

    def _write(self, newest: Segment, data: bytes) -> None:
        """Write all of the data, or nothing. Raises OSError."""
        assert self._writing is not None
        place, rest = newest.size, memoryview(data)
        try:
            while rest:
                written = os.pwrite(self._writing, rest, place)
                place, rest = place + written, rest[written:]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._writing, newest.size)
            raise
        self._used_bytes += len(data)
        newest.size = place

    def _seal(self) -> None:
        """End the newest file. Raises OSError."""
        if self._writing is None:
            return
        self._segments[-1].seal()
        self.unsynced.append(self._writing)
        self._writing = None

    def _is_written(self, segment: Segment) -> bool:
        return self._writing is not None and segment is self._segments[-1]

    # What there is no room for.

    def _make_room(self, size: int) -> None:
        """Remove the oldest files, those that were put aside first."""
        while self._used_bytes + size > self._most_bytes:
            if self._aside:
                path, aside = self._aside.popleft()
                with suppress(OSError):
                    os.unlink(path)
                self._used_bytes -= aside
            elif len(self._segments) > 1:
                self._drop_oldest()
            else:
                return

    def _drop_oldest(self) -> None:
        segment = self._segments[0]
        if segment.number >= self._cursor.number:
            if segment.number > self._cursor.number:
                self._cursor.enter(segment.number)
            lost = segment.line_count - self._cursor.line_count
            part = Part(segment, segment.path, self._cursor.offset, segment.size)
            self.unread_lines -= lost
            self._note_dropped(lost, records.time_of(part.read(records.HEAD_BYTES).data))
            self._cursor.enter(segment.number + 1)
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        """Remove the oldest file, or put it aside if it is damaged."""
        segment = self._segments.popleft()
        segment.remove()
        if segment.is_damaged:
            self._aside.append((segment.path + segments.DAMAGED, segment.size))
        else:
            self._used_bytes -= segment.size

    def _note_dropped(self, count: int, since: int | None) -> None:
        if count <= 0:
            return
        before = self._dropped or Dropped(0, time.time_ns() if since is None else since)
        self._dropped = before._replace(line_count=before.line_count + count)

    # What is read.

    def _return_to(self, position: Position) -> None:
        """Continue where a previous hsup was; remove what it has delivered."""
        while self._segments and self._segments[0].number < position.number:
            self.unread_lines -= self._segments[0].line_count
            self._remove_oldest()
        self._cursor.enter(position.number)
        if self._segments and self._segments[0].number == position.number:
            self._cursor.go_to(position)
            self.unread_lines -= position.line_count

    def _read_newest(self, part: Part) -> Loaded:
        """Return a part of the newest file, which is in the page cache."""
        assert self._writing is not None
        try:
            data = os.pread(self._writing, part.end - part.start, part.start)
        except OSError:
            data = b""
        return Loaded(part.segment.mark, data)

    def _current(self) -> Segment | None:
        """Return the file that is read, None if all that are full are read."""
        for segment in self._segments:
            if segment.number < self._cursor.number:
                continue
            if segment.number > self._cursor.number:
                self._cursor.enter(segment.number)
            if self._cursor.offset < segment.size or self._is_written(segment):
                return segment
            self._leave(segment)
            return self._current()
        return None

    def _leave(self, segment: Segment) -> None:
        """Go on after a file that is read; count what was damaged in it."""
        missing = segment.line_count - self._cursor.line_count
        self._cursor.enter(segment.number + 1)
        if missing or segment.is_damaged:
            segment.is_damaged = True
            segment.line_count -= missing
            self.unread_lines -= missing
            self._note_dropped(missing, None)
            self._damages.append(Damage(segment.path + segments.DAMAGED, max(missing, 0)))
        if not self.given_bytes:
            self._settle(self._cursor.position)

    def _give(self, before: Position, after: Position) -> None:
        lines, size = after.line_count - before.line_count, after.offset - before.offset
        self.unread_lines -= lines
        self.given_bytes += size
        self._given.append(_Given(lines, size, after))

    # What is acknowledged.

    def _settle(self, position: Position) -> None:
        """Note that all before a position is done with, and remove full files before it."""
        with suppress(OSError):  # it is given once more if hsup is killed now
            self._position.write(position)
        while self._segments and self._is_before(self._segments[0], position):
            self._remove_oldest()

    def _is_before(self, segment: Segment, position: Position) -> bool:
        if segment.number != position.number:
            return segment.number < position.number
        return position.offset >= segment.size and not self._is_written(segment)

    def _is_kept(self, position: Position | None) -> bool:
        """Tell whether what was given is still in a file."""
        if position is None or not self._segments:
            return False
        return position.number >= self._segments[0].number
