"""Deliver blocks of lines to one file, or to a file for each dyno."""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial

from hsup.api import LogBatch
from hsup.descriptors import shortage
from hsup.errors import DrainError, DrainRefused, DrainUnreachable, TooManyProcesses
from hsup.log_drain import Destination, DrainLimits, LogBlock, LogDrain
from hsup.threads import in_thread, in_thread_or_here
from hsup_log_drain.file.log_file import LogFile, Written
from hsup_log_drain.file.options import DYNO, FileOptions, read_options
from hsup_log_drain.file.tidying import Tidying
from hsup_log_drain.lines import line_count

#: Large blocks, as each takes a thread: 0.1 to 0.5 ms. A write to a local disk takes 0.1 s if the
#: kernel makes it wait for others, and one to a network file system may take for ever.
_LIMITS = DrainLimits(lines=1 << 14, bytes=1 << 20, wait_seconds=0.1)
#: How long a file system may take for a block.
_STUCK_SECONDS = 30.0
#: How long closing waits for a file system.
_CLOSE_SECONDS = 1.5
#: How many files are open at the same time.
_MOST_OPEN = 32
#: Errors that concern one file of many.
_OF_ONE_FILE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO}
)
#: After so many of them, the lines of a file are lost, for the sake of others.
_MOST_FAILURES = 3
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 200


def file_drain(destination: Destination) -> LogDrain:
    """Make a drain for a URL of scheme `file`. Raises UsageError."""
    return FileDrain(read_options(destination.url, destination.settings.directory))


class FileDrain:
    """Writes to files, one block at a time, in a thread."""

    limits = _LIMITS

    def __init__(self, options: FileOptions) -> None:
        self._options = options
        self._files: dict[str, LogFile] = {}
        self._open: dict[str, LogFile] = {}  # the least recently used one first
        self._failures: dict[str, int] = {}  # one after the other, of one file of many
        self._writing: asyncio.Future[None] | None = None
        self._block = ""
        self._tidying = Tidying(options) if options.rotation else None

    async def deliver(self, block: LogBlock) -> None:
        """Write a block. Raises DrainUnreachable if nothing was written, and DrainError.

        Raises DrainRefused once only lines of dynos are left whose files fail again and again.
        """
        if self._writing is not None and self._block != block.id:
            await self._until_written(self._writing)  # that block was given up
            self._writing = None
        if self._writing is None:
            self._block = block.id
            self._writing = asyncio.ensure_future(in_thread(partial(self._write, block)))
        writing = self._writing
        await self._until_written(writing)
        self._writing = None
        if self._tidying is not None:
            self._tidying.begin(self._rotated_paths())
        try:
            writing.result()
        except TooManyProcesses as error:
            text = f'cannot write log file "{self._options.path}": {error}'
            raise DrainUnreachable(text, hint=error.hint) from error

    async def close(self) -> None:
        """Close all files, unless a file system is stuck."""
        if self._tidying is not None:
            self._tidying.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._writing is not None:
                    await self._until_written(self._writing)
                await in_thread_or_here(self._close_files)
                await self.tidied()

    async def tidied(self) -> None:
        """Return when no rotated file is being compressed."""
        if self._tidying is not None:
            await self._tidying.stopped()

    async def _until_written(self, writing: asyncio.Future[None]) -> None:
        """Return when a block has been written, or has not: this call may be a later one."""
        await asyncio.wait({writing}, timeout=_STUCK_SECONDS)
        if not writing.done():
            text = f'log file "{self._options.path}": the file system does not answer'
            raise DrainUnreachable(text)
        writing.exception()  # marks it as seen

    def _rotated_paths(self) -> set[str]:
        rotated = {file for file in self._files.values() if file.has_rotated}
        for file in rotated:
            file.has_rotated = False
        return {file.path for file in rotated}

    # What follows runs in a thread, one at a time.

    def _write(self, block: LogBlock) -> None:
        by_path: dict[str, list[LogBatch]] = {}
        for batch in block.batches:
            by_path.setdefault(self._path(batch), []).append(batch)
        written = {path: self._write_file(path, block.id, by_path[path]) for path in by_path}
        failed = {path: one.error for path, one in written.items() if one.error is not None}
        of_one = {path for path in failed if self._is_of_one_file(failed[path])}
        self._failures = {
            path: count for path, count in self._failures.items() if path not in written
        } | {path: self._failures.get(path, 0) + 1 for path in of_one}
        if not failed:
            self._forget_files()
            return
        self._fail(block, written, failed, of_one)

    def _is_of_one_file(self, error: OSError) -> bool:
        return self._options.per_dyno and error.errno in _OF_ONE_FILE

    def _fail(
        self,
        block: LogBlock,
        written: dict[str, Written],
        failed: dict[str, OSError],
        of_one: Collection[str],
    ) -> None:
        """Raise what says how the worst failure is to be treated: one of all files, if any is."""
        path = next((path for path in failed if path not in of_one), next(iter(failed)))
        error = failed[path]
        text = f'cannot write log file "{path}": {error.strerror}'
        hint = "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else None
        if all(self._failures.get(path, 0) >= _MOST_FAILURES for path in failed):
            taken = sum(one.lines for one in written.values())
            self._forget_files()
            raise DrainRefused(text, hint=hint, taken_lines=taken) from error
        taken = self._taken_lines(block.batches, written)
        if path in of_one or any(one.is_changed for one in written.values()):
            raise DrainError(text, hint=hint, taken_lines=taken) from error
        raise DrainUnreachable(text, hint=hint, taken_lines=taken) from error

    def _path(self, batch: LogBatch) -> str:
        if not self._options.per_dyno:
            return self._options.path
        return self._options.path.replace(DYNO, safe_name(batch.dyno))

    def _write_file(self, path: str, block: str, batches: Sequence[LogBatch]) -> Written:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = LogFile(path, self._options)
        self._open.pop(path, None)
        while len(self._open) >= _MOST_OPEN:
            self._close_oldest()
        written = file.write(block, batches)
        if written.error is not None and self._open and shortage(written.error):
            self._close_files()
            written = file.write(block, batches)
        if file.is_open:
            self._open[path] = file
        return written

    def _close_oldest(self) -> None:
        self._open.pop(next(iter(self._open))).close()

    def _close_files(self) -> None:
        while self._open:
            self._close_oldest()

    def _forget_files(self) -> None:
        """Forget files of dynos that wrote nothing lately."""
        if len(self._files) > _MOST_OPEN:
            for path, file in tuple(self._files.items()):
                if not file.is_open and file.is_line_end and not file.has_rotated:
                    del self._files[path]

    def _taken_lines(self, batches: Sequence[LogBatch], written: dict[str, Written]) -> int:
        """Return how many lines at the beginning of a block are in their files."""
        left = {path: one.lines for path, one in written.items()}
        taken = 0
        for batch in batches:
            path, count = self._path(batch), line_count(batch.lines)
            if left[path] < count:
                return taken + left[path]
            left[path] -= count
            taken += count
        return taken


def safe_name(dyno: str) -> str:
    """Return a part of a file's name for a dyno, which leads to no other directory."""
    name = _UNSAFE.sub("_", dyno)[:_LONGEST_NAME]
    return name if name and not name.startswith(".") else f"_{name[1:]}"
