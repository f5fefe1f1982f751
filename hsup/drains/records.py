"""Write batches of lines as records of a file, and find them again, also in a damaged file.

A file begins with MAGIC and a mark of its own, four bytes by chance. A record is the mark, the
CRC-32 of what follows it, the number of bytes of the lines, the time (ns since the epoch), the
number of bytes of the origin, the origin as JSON, and the lines; numbers are little-endian. As no
dyno knows the mark, none can write lines that are taken for a record where a file is damaged.
"""

from __future__ import annotations

import json
import os
import struct
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from hsup.api import LogBatch, LogEvent

MAGIC = b"hsup spool 1"
_MARK_BYTES = 4
HEADER_BYTES = len(MAGIC) + _MARK_BYTES

_HEAD = struct.Struct("<4sIIqI")
HEAD_BYTES = _HEAD.size
#: What the CRC is of begins here: the number of bytes of the lines.
_CHECKED = struct.Struct("<IqI")
_CHECKED_FROM = HEAD_BYTES - _CHECKED.size


class Piece(NamedTuple):
    """What is at a place of a file, and where it ends; without a batch, it is damaged."""

    batch: LogBatch | None
    end: int


def header() -> bytes:
    """Return the beginning of a new file."""
    return MAGIC + os.urandom(_MARK_BYTES)


def mark_of(header: bytes) -> bytes | None:
    """Return the mark of a file, None if its beginning is damaged."""
    if len(header) == HEADER_BYTES and header.startswith(MAGIC):
        return header[len(MAGIC) :]
    return None


def encode(batch: LogBatch, mark: bytes) -> bytes:
    """Return the record of a batch; what its event tells is left out."""
    told = None if batch.event is None else batch.event[:4]
    origin = _origin((*batch[1:4], *batch[5:8], told))
    checked = _CHECKED.pack(len(batch.lines), batch.time, len(origin))
    crc = crc32(batch.lines, crc32(origin, crc32(checked)))
    return b"".join((mark, crc.to_bytes(4, "little"), checked, origin, batch.lines))


def piece(data: bytes, start: int, mark: bytes) -> Piece:
    """Return the record at a place, or the damaged bytes up to the next record."""
    if (found := _record(data, start, mark)) is not None:
        return found
    place = start
    while (place := data.find(mark, place + 1)) >= 0:
        if _record(data, place, mark) is not None:
            return Piece(None, place)
    return Piece(None, len(data))


def is_torn(data: bytes, start: int, mark: bytes) -> bool:
    """Tell whether the end of the data is a record of which only the beginning was written."""
    rest = len(data) - start
    if rest < HEAD_BYTES:
        return mark.startswith(data[start : start + _MARK_BYTES]) or data.startswith(mark, start)
    return data.startswith(mark, start) and _end(data, start) > len(data)


def lines_of(data: bytes, start: int) -> bytes:
    """Return the lines of a record at the end of the data that is not whole, as far as it tells."""
    if len(data) - start < HEAD_BYTES:
        return b""
    return data[start + HEAD_BYTES + _CHECKED.unpack_from(data, start + _CHECKED_FROM)[2] :]


def time_of(data: bytes, start: int = 0) -> int | None:
    """Return the time of a record (ns since the epoch), None if it is not all there."""
    if len(data) - start < HEAD_BYTES:
        return None
    time: int = _CHECKED.unpack_from(data, start + _CHECKED_FROM)[1]
    return time


def _end(data: bytes, start: int) -> int:
    line_bytes, _, origin_bytes = _CHECKED.unpack_from(data, start + _CHECKED_FROM)
    end: int = start + HEAD_BYTES + origin_bytes + line_bytes
    return end


def _record(data: bytes, start: int, mark: bytes) -> Piece | None:
    """Return the record at a place, None if there is none that is whole."""
    if len(data) - start < HEAD_BYTES:
        return None
    found, crc, line_bytes, time, origin_bytes = _HEAD.unpack_from(data, start)
    lines_from = start + HEAD_BYTES + origin_bytes
    end = lines_from + line_bytes
    if found != mark or end > len(data):
        return None
    if crc32(memoryview(data)[start + _CHECKED_FROM : end]) != crc:
        return None
    before, after = _fields(data[start + HEAD_BYTES : lines_from])
    return Piece(LogBatch(time, *before, data[lines_from:end], *after), end)


@lru_cache(maxsize=1024)
def _origin(fields: tuple[object, ...]) -> bytes:
    return json.dumps(fields).encode()


@lru_cache(maxsize=1024)
def _fields(origin: bytes) -> tuple[tuple[str, str, str], tuple[Any, ...]]:
    """Return the fields of a batch that are before its lines, without the time, and after them."""
    source, dyno, stream, *after, told = json.loads(origin)
    event = None if told is None else LogEvent(*told)
    return (source, dyno, stream), (*after, event)
