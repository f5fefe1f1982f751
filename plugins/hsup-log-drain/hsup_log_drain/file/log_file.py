"""Append lines to one file, which others may move, truncate, read and write at any time."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from hsup import locks
from hsup.api import LogBatch
from hsup.descriptors import unless_lowered
from hsup.directories import is_trusted
from hsup.formats.formatters import formatter
from hsup_log_drain.file.birth import birth_time
from hsup_log_drain.file.joining import WHOLE, FileEnd, Text
from hsup_log_drain.file.options import FileOptions
from hsup_log_drain.file.rotation import rotate
from hsup_log_drain.lines import Progress, without_lines

logger = logging.getLogger(__name__)

_NEWLINE = b"\n"
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: What a new file gets, less what the umask takes away.
_MODE = 0o640
#: How often a file that is moved at that moment is opened again.
_OPEN_TRIES = 5
#: How long the reader of a FIFO may take to make room.
_FIFO_SECONDS = 5.0
#: How often to look at the end of a file that another process is writing, and how long after the
#: last look.
_LOOKS, _LOOK_SECONDS = 100, 0.001
#: How a file ends whose last line has no newline, and was written by another process.
_CUT_BY_ANOTHER = FileEnd(halfway=("", "", ""))


class Written(NamedTuple):
    """How many lines of a block a file has, from the first one, and the error if not all.

    `is_changed` tells whether any byte was written now.
    """

    lines: int
    is_changed: bool
    error: OSError | None = None


class LogFile:
    """One file, which is opened when there are lines."""

    def __init__(self, path: str, options: FileOptions) -> None:
        self.path = path
        #: Whether it was rotated since somebody last looked.
        self.has_rotated = False
        self._options = options
        self._rotation = options.rotation
        self._form = formatter(options.form, coloured=False)
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        self._is_regular = True
        self._size = 0
        self._begun = 0.0
        self._end = WHOLE
        self._progress = Progress()
        self._may_rotate = True
        self._has_warned = False

    @property
    def is_open(self) -> bool:
        """Tell whether this has a descriptor."""
        return self._descriptor >= 0

    @property
    def is_line_end(self) -> bool:
        """Tell whether the next line is to begin where the file ends."""
        return self._end == WHOLE

    def write(self, block: str, batches: Sequence[LogBatch]) -> Written:
        """Append the lines of a block that are not in the file yet.

        `block` is its id: if it is tried again, its last lines are the ones that were missing.
        """
        if not self._progress.is_at(block):  # the torn line was given up
            self._end = self._end._replace(rest=b"")
        known = self._progress.begin(block, batches)
        try:
            self._open()
        except OSError as error:
            return Written(known, is_changed=False, error=error)
        text = Text(self._form, without_lines(batches, known), self._end)
        position, failure = self._append(text)
        lines, self._end = text.written(position)
        self._progress.add(lines)
        if failure is not None:
            self.close()  # another one may be there next time
        return Written(known + lines, position > text.start, failure)

    def close(self) -> None:
        """Close the file until there are more lines."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with suppress(OSError):  # some file systems tell late, and all has been tried
                locks.unlock(descriptor)

    def _append(self, text: Text) -> tuple[int, OSError | None]:
        """Write a text; return how far that got, and the error if not all is written."""
        position = text.start
        is_line_end = self.is_line_end
        self._may_rotate = self._is_regular
        try:
            if is_line_end and self._is_old():
                self._rotate()
            while position < len(text.data):
                end = self._end_of_chunk(text.data, position, is_line_end=is_line_end)
                if end > position:
                    written = self._write(memoryview(text.data)[position:end])
                    position += written
                    self._size += written
                    is_line_end = text.data.startswith(_NEWLINE, position - 1)
                else:
                    self._rotate()
        except OSError as error:
            return position, error
        return position, None

    def _end_of_chunk(self, data: bytes, position: int, *, is_line_end: bool) -> int:
        """Return up to where the file has room; the position itself if it is to be rotated."""
        size = self._rotation and self._rotation.size
        if not size or not self._may_rotate:
            return len(data)
        room = max(size - self._size, 0)
        if len(data) - position <= room:
            return len(data)
        if end := data.rfind(_NEWLINE, position, position + room) + 1:
            return end
        if self._size and is_line_end:
            return position
        return data.find(_NEWLINE, position) + 1 or len(data)

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # the reader of a FIFO is slow
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            if not poll.poll(_FIFO_SECONDS * 1000):
                raise TimeoutError(errno.ETIMEDOUT, "its reader takes nothing") from None
            return 0

    def _is_old(self) -> bool:
        age = self._rotation and self._rotation.age_seconds
        return bool(age and self._may_rotate and self._size and time.time() - self._begun >= age)

    def _rotate(self) -> None:
        """Rotate the file, unless that is not possible now. Raises OSError if none can be opened.

        What was written so far ends with a line.
        """
        assert self._rotation is not None
        self._may_rotate = False
        try:
            if not rotate(self.path, self._descriptor, self._rotation.keep):
                return
        except OSError as error:
            if not self._has_warned:
                logger.warning('cannot rotate log file "%s": %s', self.path, error.strerror)
            self._has_warned = True
            return
        self.has_rotated = True
        self._has_warned = False
        self._end = WHOLE
        self.close()
        self._open()
        self._may_rotate = True

    def _open(self) -> None:
        """Open what is at the path now, unless it is open. Raises OSError."""
        if self._descriptor >= 0 and not locks.is_at(self.path, self._descriptor):
            self.close()
        if self._descriptor < 0:
            self._descriptor = self._opened()
        status = os.fstat(self._descriptor)
        identity = status.st_dev, status.st_ino
        if identity != self._identity:
            self._identity = identity
            self._is_regular = stat.S_ISREG(status.st_mode)
            self._look_at_end()
            if self._rotation and self._rotation.age_seconds:
                self._begun = birth_time(self._descriptor)
        elif self._is_regular and status.st_size != self._size:
            if status.st_size < self._size:  # it was truncated
                self._begun = time.time()
            self._look_at_end()

    def _look_at_end(self) -> None:
        """Find how a file ends that another process has written, or truncated."""
        self._size, is_line_end = _looked_at(self._descriptor)
        self._end = WHOLE if is_line_end else _CUT_BY_ANOTHER

    def _opened(self) -> int:
        for _ in range(_OPEN_TRIES):
            descriptor = unless_lowered(self._descriptor_at_path)
            try:
                _require_kind(descriptor)
                with suppress(OSError):  # a file system without locks, or one is compressed
                    fcntl.flock(descriptor, locks.SHARED | fcntl.LOCK_NB)
                if locks.is_at(self.path, descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            locks.unlock(descriptor)
        raise FileNotFoundError(errno.ENOENT, "it is moved again and again")

    def _descriptor_at_path(self) -> int:
        flags = _FLAGS
        if self._rotation or not is_trusted(os.path.dirname(self.path)):
            flags |= os.O_NOFOLLOW  # another user could have hsup write to any file
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            pass
        try:
            descriptor = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, _MODE)
        except FileExistsError:  # another process was faster, or it is a link to nothing
            return os.open(self.path, flags)
        if self._options.mode is not None:
            os.fchmod(descriptor, self._options.mode)
        return descriptor


def _require_kind(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise OSError(errno.EINVAL, "it is neither a regular file nor a FIFO")


def _looked_at(descriptor: int) -> tuple[int, bool]:
    """Return the size of a file, and whether it ends with a newline; so does what is unreadable.

    It is this file also if there is another one at the path by now. A reader can see half of what
    another process is writing at that moment: look until the size stays the same.
    """
    status = os.fstat(descriptor)
    size = status.st_size
    if not (size and stat.S_ISREG(status.st_mode)):
        return size, True
    try:
        reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return size, True
    try:
        for _ in range(_LOOKS):
            if os.pread(reading, 1, size - 1) in {_NEWLINE, b""}:
                return size, True
            time.sleep(_LOOK_SECONDS)
            before, size = size, os.fstat(reading).st_size
            if size in {0, before}:
                break
    except OSError:
        return size, True
    finally:
        os.close(reading)
    return size, not size
