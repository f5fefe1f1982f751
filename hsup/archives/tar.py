"""Read the members of a tar archive, in one pass and with bounded memory.

The formats are ustar, GNU's long names and pax (man 5 tar). A slug needs names,
links, modes, times and the maps of sparse files. The standard library's tarfile
takes 40 µs for a member, three quarters of what GNU tar takes to create its file.
It also reads headers of any size into memory, and is only as safe as the Python
of the machine (CVE-2024-6232, CVE-2025-8194).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import adler32

from hsup.archives.errors import SlugError
from hsup.archives.foreign import what_is
from hsup.archives.numbers import MAKE_AGAIN, damaged, decimal, decimal_seconds, integer, seconds
from hsup.archives.pax import (
    EXTENSIONS,
    PATH,
    SIZE,
    SPARSE_NAME,
    TARGET,
    TIME,
    Extension,
    Records,
    map_of_records,
    text_of,
)
from hsup.archives.sparse import BLOCK, SparseMap, map_of_header
from hsup.archives.stream import Stream

# name, mode, size, mtime, target, magic, prefix
_HEADER = struct.Struct("100s 8s 8x 8x 12s 12s 8x x 100s 6s 2x 32x 32x 16x 155s 12x")
_SIZE, _TYPE = slice(124, 136), slice(156, 157)
#: The checksum is computed as if its own field were blanks.
_CHECKSUM, _CHECKSUM_BLANKS = slice(148, 156), 8 * ord(" ")
#: The lower half of Adler-32 is one more than the sum of the bytes, modulo 65521 (RFC 1950).
_ADLER, _ADLER_SUM = 65521, 0xFFFF
_EMPTY = bytes(BLOCK)
_USTAR, _GNU = b"ustar\0", b"ustar "
MAKE_SO = "make the archive with: tar -czf slug.tgz ./app"


class Kind(enum.Enum):
    """The type of a member."""

    FILE = "a file"
    DIRECTORY = "a directory"
    SYMLINK = "a symbolic link"
    HARD_LINK = "a hard link"
    CHARACTER_DEVICE = "a character device"
    BLOCK_DEVICE = "a block device"
    FIFO = "a FIFO"
    UNKNOWN = "of an unknown type"


_SPARSE, _DUMPED_DIRECTORY = b"S", b"D"
_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    _SPARSE: Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.DIRECTORY,
    _DUMPED_DIRECTORY: Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
#: Links, devices and directories have no content, even if their header has a size.
_WITHOUT_CONTENT = {b"1", b"2", b"3", b"4", b"5", b"6"}


class Member(NamedTuple):
    """One entry of an archive; `size` bytes of content follow it in the stream.

    A named tuple, since an archive has tens of thousands, and a dataclass takes longer to make.
    `mtime` is in seconds since the epoch; `target` is that of a link. `sparse` says
    where the content of a sparse file belongs.
    """

    name: bytes
    kind: Kind
    mode: int
    size: int
    mtime: int
    target: bytes
    sparse: SparseMap | None = None


def members(stream: Stream) -> Iterator[Member]:
    """Yield every member; the caller may read its content before it asks for the next.

    Raises SlugError for data that is not a complete tar archive.
    """
    _check_beginning(stream.peek(BLOCK))
    extension = Extension()
    while (header := stream.read(BLOCK)) != _EMPTY:
        if not _is_header(header):
            raise SlugError("a header of the archive is damaged", hint=MAKE_AGAIN)
        kind = header[_TYPE]
        if kind in EXTENSIONS:
            size = _size(header)
            end = stream.position + _padded(size)
            extension.read(kind, size, stream)
        else:
            member = _member(header, kind, extension.records, stream)
            extension.clear()
            end = stream.position + _padded(member.size)
            yield member
        stream.skip_to(end)
    stream.drain()


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK


def _check_beginning(head: bytes) -> None:
    """Raise SlugError unless this is the beginning of a tar archive, and say what it is."""
    if head == _EMPTY or (len(head) == BLOCK and _is_header(head)):
        return
    name = what_is(head)
    if name:
        raise SlugError(f"it is {name}, not a tar archive", hint=MAKE_SO)
    text = "it is not a tar archive" if len(head) == BLOCK else "the archive ends too early"
    raise SlugError(text, hint=MAKE_AGAIN)


def _is_header(block: bytes) -> bool:
    """Tell whether a block has the checksum of a header."""
    field = block[_CHECKSUM]
    expected = integer(field)
    if expected < 0:
        return False
    # Adding up the bytes one by one takes a fifth of the time of a member.
    rest = (adler32(block) & _ADLER_SUM) - (adler32(field) & _ADLER_SUM)
    if (rest + _CHECKSUM_BLANKS - expected) % _ADLER == 0:
        return True
    # Some programs add up the bytes as signed numbers.
    signed = sum(block) - 256 * sum(byte > 127 for byte in block)  # noqa: PLR2004
    return signed - sum(field) + _CHECKSUM_BLANKS == expected


def _size(header: bytes) -> int:
    size = integer(header[_SIZE])
    if size < 0:
        raise damaged()
    return size


def _member(header: bytes, kind: bytes, records: Records, stream: Stream) -> Member:
    """Return a member, described by its header and by the records before it."""
    name, mode_field, size_field, time_field, target, magic, prefix = _HEADER.unpack(header)
    name, target = text_of(name), text_of(target)
    if magic == _USTAR and prefix[0]:
        name = text_of(prefix) + b"/" + name
    mode, size = integer(mode_field), integer(size_field)
    if mode < 0 or size < 0:
        raise damaged()
    if not records:
        mtime = seconds(time_field)
    else:
        name = records.get(SPARSE_NAME) or records.get(PATH, name)
        target = records.get(TARGET, target)
        size = decimal(records[SIZE]) if SIZE in records else size
        pax_time = records.get(TIME)
        mtime = seconds(time_field) if pax_time is None else decimal_seconds(pax_time)
    what = _KINDS.get(kind, Kind.UNKNOWN)
    sparse = None
    if what is Kind.FILE:
        # The tar of 1979 marks a directory only by the slash at the end of its name.
        if name[-1:] == b"/":
            what, size = Kind.DIRECTORY, 0
        elif kind == _SPARSE:
            sparse = map_of_header(header, size, stream) if magic == _GNU else None
            what = what if sparse else Kind.UNKNOWN
        elif records:
            sparse, size = map_of_records(records, size, stream)
    elif kind in _WITHOUT_CONTENT:
        size = 0
    return Member(name, what, mode, size, mtime, target, sparse)
