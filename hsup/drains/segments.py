"""The files of a spool: their names, and what is in them.

A file that records are added to is called by its number, `0000000012.spool`; once it is full, or
hsup ends, its name also has the number of its lines, `0000000012-40213.spool`. What was found
damaged is renamed and never read again: `0000000012-40213.spool.damaged`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import NamedTuple

from hsup.drains import records
from hsup.output.backlog import line_count

SUFFIX, DAMAGED = ".spool", ".damaged"
_NAME = re.compile(r"(\d{10,19})(?:-(\d{1,15}))?\.spool", re.ASCII)
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_MAKING_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_PRIVATE = 0o600


class Segment:
    """A file of records; `size` is where the last whole one ends."""

    __slots__ = ("is_damaged", "line_count", "mark", "number", "path", "size")

    def __init__(
        self, path: str, number: int, size: int, line_count: int = 0, mark: bytes | None = None
    ) -> None:
        self.path = path
        self.number = number
        self.size = size
        self.line_count = line_count
        self.mark = mark
        self.is_damaged = False

    def seal(self) -> None:
        """Give the file its final name. Raises OSError."""
        self.move(os.path.dirname(self.path), self.number)

    def move(self, directory: str, number: int) -> None:
        """Move the file to another directory, with its final name there. Raises OSError."""
        path = os.path.join(directory, f"{number:010}-{self.line_count}{SUFFIX}")
        os.rename(self.path, path)
        self.path, self.number = path, number

    def remove(self) -> None:
        """Remove the file, or put it aside if it is damaged."""
        with suppress(OSError):
            if self.is_damaged:
                os.rename(self.path, self.path + DAMAGED)
            else:
                os.unlink(self.path)


class Loaded(NamedTuple):
    """What was read of a file: its mark, None if its beginning is damaged, and bytes."""

    mark: bytes | None
    data: bytes


class Part(NamedTuple):
    """A part of a file."""

    segment: Segment
    path: str
    start: int
    end: int

    def read(self, most_bytes: int | None = None) -> Loaded:
        """Return the part, less if the file is damaged; may be called in any thread."""
        size = self.end - self.start
        return read(self.path, self.start, size if most_bytes is None else min(size, most_bytes))


class Torn(NamedTuple):
    """How many lines of a record were written when hsup was killed, and when they were read."""

    line_count: int
    time: int | None


def make(directory: str, number: int) -> tuple[Segment, int]:
    """Create a file with this number, or the next one that no file has; return its descriptor, too.

    Raises OSError, and leaves no file then, if it can be removed.
    """
    path = _path(directory, number)
    while os.path.lexists(path):  # an empty one that could not be removed
        number += 1
        path = _path(directory, number)
    header = records.header()
    descriptor = os.open(path, _MAKING_FLAGS, _PRIVATE)
    try:
        written = os.pwrite(descriptor, header, 0)
    except OSError:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(path)
        raise
    assert written == len(header)  # it is less than a page
    return Segment(path, number, len(header), mark=records.mark_of(header)), descriptor


def found(directory: str) -> tuple[list[Segment], list[Torn]]:
    """Return the files of a directory in order, and what was cut off; all have their final names.

    Raises OSError.
    """
    segments, torn = [], []
    for name in sorted(os.listdir(directory)):
        if (match := _NAME.fullmatch(name)) is None:
            continue
        path, number = os.path.join(directory, name), int(match[1])
        if match[2] is None:
            segment, cut = _left_open(path, number)
            torn += [] if cut is None else [cut]
        else:
            segment = Segment(path, number, os.stat(path).st_size, int(match[2]))
        segments.append(segment)
    return sorted(segments, key=lambda one: one.number), torn


def damaged_files(directory: str) -> list[tuple[str, int]]:
    """Return the paths and sizes of the files that were put aside, the oldest first."""
    paths = [
        os.path.join(directory, name)
        for name in sorted(os.listdir(directory))
        if name.endswith(SUFFIX + DAMAGED)
    ]
    return [(path, os.stat(path).st_size) for path in paths]


def read(path: str, start: int, size: int) -> Loaded:
    """Return so many bytes of a file from a place on; less if it is damaged."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return Loaded(None, b"")
    try:
        mark = records.mark_of(os.pread(descriptor, records.HEADER_BYTES, 0))
        return Loaded(mark, os.pread(descriptor, size, start))
    except OSError:
        return Loaded(None, b"")
    finally:
        os.close(descriptor)


def _path(directory: str, number: int) -> str:
    return os.path.join(directory, f"{number:010}{SUFFIX}")


def _left_open(path: str, number: int) -> tuple[Segment, Torn | None]:
    """Return a file to which a killed hsup was adding records; cut off half a record."""
    size = os.stat(path).st_size
    mark, data = read(path, 0, size)
    if mark is None and records.MAGIC.startswith(data[: len(records.MAGIC)]):
        data, size = b"", 0  # killed before there was any record
    segment = Segment(path, number, size)
    lines, torn, place = 0, None, records.HEADER_BYTES
    while mark is not None and place < len(data):
        batch, end = records.piece(data, place, mark)
        if batch is not None:
            lines += line_count(batch.lines)
        elif end == len(data) and records.is_torn(data, place, mark):
            torn = _torn(data, place)
            os.truncate(path, place)
            segment.size = place
        else:
            lines += line_count(records.lines_of(data[:end], place))
        place = end
    if mark is None and data:
        lines = line_count(data)
    segment.line_count = lines
    segment.seal()
    return segment, torn


def _torn(data: bytes, start: int) -> Torn:
    return Torn(line_count(records.lines_of(data, start)), records.time_of(data, start))
