"""Read lines that wait on disk, and in memory only as long as they cannot be written there.

backlog ──▶ memory ──▶ spool ──▶ delivery
               │ the disk is full    ▲
               └─────────────────────┘ once all that is in the spool was read
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from hsup.api import LogBatch, LogEvent
from hsup.drains.delivery import Kept
from hsup.drains.spool import SEGMENT_BYTES, Spool
from hsup.drains.spool_directory import SpoolDirectory
from hsup.output.backlog import BacklogReader, Dropped, line_count
from hsup.threads import in_thread_or_here

#: How much is read ahead of what is acknowledged: at most so much is delivered again after a crash.
_MOST_GIVEN_BYTES = SEGMENT_BYTES
#: How much is written at once, and how long a batch of several lines is at most.
_WRITTEN_BYTES = 1 << 16
#: How many full files may wait for a slow disk; lines are kept in memory then.
_MOST_UNSYNCED = 8
#: How long to wait before lines are written again to a disk that was full.
_RETRY_SECONDS = 1.0


class SpoolReader:
    """Moves what `memory` has into a spool at once, and reads that.

    `say` gets lines about the disk, which begin with `name`.
    """

    def __init__(
        self,
        memory: BacklogReader,
        directory: SpoolDirectory,
        *,
        name: str,
        say: Callable[[str, LogEvent], None],
    ) -> None:
        self._memory = memory
        self._directory = directory
        self._spool: Spool = directory.spool
        self._name = name
        self._say = say
        self._unwritten: list[LogBatch] = []  # was taken from memory, in order
        self._is_failing = False
        self._is_given_up = False  # nothing more is stored before the end
        self._is_closed = False
        self._changed = asyncio.Event()
        self._syncing: asyncio.Task[None] | None = None
        self._is_loading = False
        self._storing = asyncio.create_task(self._store_all())
        self._storing.add_done_callback(self._note_end)

    @property
    def pending_bytes(self) -> int:
        """Return how much waits: bytes in memory, and lines in the spool, which are no less."""
        unwritten = sum(len(one.lines) for one in self._unwritten)
        return self._spool.unread_lines + unwritten + self._memory.pending_bytes

    async def ready(self) -> None:
        """Return when there is something to read."""
        while not self._is_readable():
            self._tell_of_damage()
            await self._until_changed()
        if (part := self._spool.to_load) is not None:
            self._is_loading = True
            try:
                self._spool.load(part, await in_thread_or_here(part.read))
            finally:
                self._is_loading = False
                self._changed.set()

    async def stirred(self) -> None:
        """Return when `next` may give something, or nothing waits; others run meanwhile."""
        await asyncio.sleep(0)
        while self.pending_bytes and (self._is_loading or not self._is_readable()):
            await self._changed.wait()
            await asyncio.sleep(0)  # whoever waits in `ready` looks first

    def next(self, most_bytes: int) -> LogBatch | None:
        """Return the next lines, None if there are none now."""
        if not self._is_readable():
            return None
        if self._spool.has_next():
            batch = self._spool.next()
            self._tell_of_damage()
            return batch
        batch = self._unwritten.pop(0) if self._unwritten else self._memory.next(most_bytes)
        if batch is not None:
            self._spool.give_other(batch)
        return batch

    def dropped(self) -> Dropped | None:
        """Return what was dropped since the last call."""
        dropped = [one for one in (self._spool.dropped(), self._memory.dropped()) if one]
        if not dropped:
            return None
        return Dropped(sum(one.line_count for one in dropped), min(one.since for one in dropped))

    def line_count(self) -> int:
        """Return how many lines wait."""
        return self._spool.unread_lines + self._count_in_memory()

    def acknowledge(self, count: int) -> None:
        """Forget the first so many of all batches that `next` has returned, unless it is closed."""
        if self._is_closed:
            return
        self._spool.acknowledge(count)
        self._changed.set()

    def kept(self) -> Kept:
        """Return what stays if hsup ends now."""
        lost = self._count_in_memory() + self._spool.given_lines_not_kept
        return Kept(self._spool.kept_lines, self._directory.base, lost)

    async def store(self) -> None:
        """Write what waits in memory, and all of it to the disk, unless this is closed."""
        if self._is_closed:
            return
        self._write_last()
        with suppress(OSError):
            await in_thread_or_here(self._spool.sync)

    def close(self) -> None:
        """Write what waits in memory, and release everything; does nothing the second time."""
        if self._is_closed:
            return
        self._write_last()
        self._is_closed = True
        if self._syncing is not None:
            self._syncing.cancel()
        self._memory.close()
        self._directory.close()

    def _write_last(self) -> None:
        """Write what waits in memory, as far as possible, and nothing that comes later."""
        self._storing.cancel()
        with suppress(Exception):  # what cannot be written is counted
            self._write_all()

    def _is_readable(self) -> bool:
        if self._spool.given_bytes >= _MOST_GIVEN_BYTES:
            return False
        has_others = self._is_failing and (self._unwritten or self._memory.pending_bytes)
        return self._spool.has_next() or bool(has_others)

    async def _until_changed(self) -> None:
        if self._is_given_up and self._spool.given_bytes < _MOST_GIVEN_BYTES:
            await self._memory.ready()
        else:
            self._changed.clear()
            await self._changed.wait()

    def _count_in_memory(self) -> int:
        unwritten = sum(line_count(one.lines) for one in self._unwritten)
        return unwritten + self._memory.line_count()

    async def _store_all(self) -> None:
        """Write lines into the spool as they come."""
        while True:
            if not self._unwritten:
                await self._memory.ready()
            try:
                self._write_all()
            except OSError as error:
                self._fail(error)
                with suppress(OSError):
                    self._spool.free()
                await self._sync_full()  # a file that was removed takes room until it is closed
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._recover()
                await self._sync_full()

    def _write_all(self) -> None:
        """Write all that is in memory. Raises OSError."""
        while self._unwritten or self._memory.pending_bytes:
            self._unwritten = self._unwritten or list(self._taken())
            self._spool.append(self._unwritten)
            self._unwritten = []
            self._changed.set()

    def _taken(self) -> Iterator[LogBatch]:
        size, most = 0, min(_WRITTEN_BYTES, self._spool.segment_bytes)
        while size < most and (batch := self._memory.next(most)) is not None:
            size += len(batch.lines)
            yield batch

    async def _sync_full(self) -> None:
        """Begin to write full files to the disk; wait if these are too many."""
        if self._spool.unsynced and (self._syncing is None or self._syncing.done()):
            self._syncing = asyncio.create_task(self._sync())
        if len(self._spool.unsynced) > _MOST_UNSYNCED and self._syncing is not None:
            await asyncio.wait([self._syncing])

    async def _sync(self) -> None:
        try:
            await in_thread_or_here(self._spool.sync_full)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Say once that lines cannot be written."""
        self._changed.set()
        if self._is_failing:
            return
        self._is_failing = True
        text = f"{self._name}: cannot write to its spool {self._directory.base}: {error.strerror}"
        self._say(f"Warning: {text}; keeping lines in memory", LogEvent("warning"))

    def _note_end(self, storing: asyncio.Task[None]) -> None:
        """Say that lines stay in memory from now on, if only a fault of hsup has ended storing."""
        if not storing.cancelled() and (error := storing.exception()) is not None:
            self._is_failing = self._is_given_up = True
            self._changed.set()
            text = f"{self._name} uses its spool {self._directory.base} no more: "
            text += f"{type(error).__name__}; keeping lines in memory"
            self._say(f"Warning: {text}", LogEvent("warning"))

    def _recover(self) -> None:
        if self._is_failing:
            self._is_failing = False
            text = f"{self._name} writes to its spool {self._directory.base} again"
            self._say(text, LogEvent("notice"))

    def _tell_of_damage(self) -> None:
        for path, count in self._spool.take_damages():
            lines = "1 line is" if count == 1 else f"{count} lines are"
            text = f"{self._name}: {lines} lost: a file of its spool is damaged"
            self._say(f"Warning: {text}, and put aside as {path}", LogEvent("warning"))
