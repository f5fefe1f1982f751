"""Read the members of a tar archive, in one pass and with bounded memory.

The formats are ustar, GNU's long names and pax (man 5 tar), of which a slug
needs names, links, modes and times. tarfile of the standard library takes
40 µs a member, three quarters of what GNU tar takes to create its file; it
also reads headers of any size into memory, and is as safe as the Python that
the machine happens to have (CVE-2024-6232, CVE-2025-8194).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

from hsup.slugs.errors import HostileSlug, SlugError

BLOCK = 512
#: A pax header has two names (PATH_MAX is 4096) and attributes that are of no use to us.
MAX_HEADER_BYTES = 1 << 20

# name, mode, size, mtime, checksum, type, target, magic, prefix
_HEADER = struct.Struct("100s 8s 8x 8x 12s 12s 8s c 100s 6s 2x 32x 32x 16x 155s 12x")
#: How the checksum is made: as if its own field were blanks.
_CHECKSUM_BLANKS = 8 * ord(" ")
_EMPTY = bytes(BLOCK)
_USTAR = b"ustar\0"
_BINARY = 0x80
_NEWLINE = ord("\n")
#: Of a number in a pax header; 2^63 has 19.
_LENGTH_DIGITS = 20
#: The last second that time_t can tell; file systems end earlier, at their own.
_LATEST = (1 << 63) - 1
_MAKE_AGAIN = "make or fetch it again"


class Kind(enum.Enum):
    """What a member is."""

    FILE = "a file"
    FOLDER = "a folder"
    SYMLINK = "a symbolic link"
    HARD_LINK = "a hard link"
    CHARACTER_DEVICE = "a character device"
    BLOCK_DEVICE = "a block device"
    FIFO = "a FIFO"
    SPARSE = "a sparse file"
    UNKNOWN = "of an unknown kind"


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.FOLDER,
    b"6": Kind.FIFO,
    b"S": Kind.SPARSE,
}
_LONG_NAME, _LONG_TARGET, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_EXTENSIONS = {_LONG_NAME, _LONG_TARGET, _PAX, _PAX_GLOBAL}


class Member(NamedTuple):
    """One entry of an archive; `size` bytes of content follow it in the stream.

    `mtime` is in seconds since the epoch; `target` is what a link leads to.
    """

    name: bytes
    kind: Kind
    mode: int
    size: int
    mtime: int
    target: bytes


class Stream:
    """Bytes in order, of which at most `limit` are taken from `pieces`."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self._received = 0
        self._rest = memoryview(b"")

    @property
    def position(self) -> int:
        """Return how many bytes were read."""
        return self._received - len(self._rest)

    @property
    def left(self) -> int:
        """Return how many bytes there may be from here on."""
        return self._limit - self.position

    def read(self, size: int) -> bytes:
        """Return so many bytes. Raises SlugError where they end too early."""
        content = bytes(self.block(size)) if size else b""
        while len(content) < size:
            content += self.block(size - len(content))
        return content

    def block(self, size: int) -> memoryview:
        """Return the next bytes, as many as there are at once. Raises SlugError at the end."""
        if not self._rest and not self._fill():
            raise SlugError("the archive ends too early", hint=_MAKE_AGAIN)
        block, self._rest = self._rest[:size], self._rest[size:]
        return block

    def skip_to(self, position: int) -> None:
        """Leave out what comes before a position. Raises SlugError where there is less."""
        size = position - self.position
        while size:
            size -= len(self.block(size))

    def drain(self) -> None:
        """Read to the end, so that the checksum of the compression is verified."""
        while self._fill():
            pass

    def _fill(self) -> bool:
        piece = next(self._pieces, b"")
        self._received += len(piece)
        self._rest = memoryview(piece)
        if self._received > self._limit:
            raise HostileSlug(f"it unpacks to more than {self._limit} bytes")
        return bool(piece)


def members(stream: Stream) -> Iterator[Member]:
    """Yield every member; the caller may read its content before it asks for the next.

    Raises SlugError for what is not a whole tar archive.
    """
    extension: _Extension = {}
    while (header := stream.read(BLOCK)) != _EMPTY:
        kind, member = _parse(header, is_first=stream.position == BLOCK)
        end = stream.position + _padded(member.size)
        if kind in _EXTENSIONS:
            extension |= _read_extension(stream, kind, member)
        else:
            if extension:
                member = _extended(member, extension)
                end = stream.position + _padded(member.size)
                extension = {}
            yield member
        stream.skip_to(end)
    stream.drain()


#: What the headers before a member say of it, by the names of pax.
_Extension = dict[str, bytes]


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK


def _parse(header: bytes, *, is_first: bool) -> tuple[bytes, Member]:
    name, mode, size, mtime, checksum, kind, target, magic, prefix = _HEADER.unpack(header)
    if sum(header) - sum(checksum) + _CHECKSUM_BLANKS != _integer(checksum):
        text = "it is no tar archive" if is_first else "a header of the archive is damaged"
        raise SlugError(text, hint=_MAKE_AGAIN)
    name = _text(name)
    if magic == _USTAR and prefix[0]:
        name = _text(prefix) + b"/" + name
    numbers = _integer(mode), _integer(size), _integer(mtime)
    if min(numbers) < 0:
        raise SlugError("a number in a header of the archive is damaged", hint=_MAKE_AGAIN)
    mode, size, mtime = numbers
    what = _KINDS.get(kind, Kind.UNKNOWN)
    member = Member(name, what, mode, size, min(mtime, _LATEST), _text(target))
    return kind, _normal(member)


def _normal(member: Member) -> Member:
    """Return a member as all formats but the oldest would have it."""
    if member.kind is Kind.FILE:
        # Tar of 1979 knows no folders but by the end of their names.
        return member._replace(kind=Kind.FOLDER, size=0) if member.name[-1:] == b"/" else member
    return member if member.kind is Kind.UNKNOWN or not member.size else member._replace(size=0)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _integer(field: bytes) -> int:
    """Return a number, -1 for what is none: octal, or binary after a byte of 0x80 (GNU, star)."""
    if field[0] == _BINARY:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        return -1


def _read_extension(stream: Stream, kind: bytes, header: Member) -> _Extension:
    """Read the content of a header that says more of the member after it."""
    if header.size > MAX_HEADER_BYTES:
        raise HostileSlug(f"a header of the archive has {header.size} bytes")
    content = stream.read(header.size)
    if kind == _LONG_NAME:
        return {"path": _text(content)}
    if kind == _LONG_TARGET:
        return {"linkpath": _text(content)}
    # What holds for all members, such as the comment of `git archive`, is of no use.
    return _records(content) if kind == _PAX else {}


def _records(content: bytes) -> _Extension:
    """Return the records of a pax header, each `LENGTH KEY=VALUE` and a newline."""
    records = {}
    start = 0
    while start < len(content):
        blank = content.find(b" ", start, start + _LENGTH_DIGITS)
        digits = content[start:blank]
        end = start + int(digits) if digits.isdigit() else 0
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if not (start < blank < end <= len(content) and equals and content[end - 1] == _NEWLINE):
            raise SlugError("an extended header of the archive is damaged", hint=_MAKE_AGAIN)
        records[key.decode("ascii", "replace")] = value
        start = end
    return records


def _extended(member: Member, extension: _Extension) -> Member:
    """Return a member with what the headers before it say of it."""
    if any(key.startswith("GNU.sparse.") for key in extension):
        return member._replace(kind=Kind.SPARSE)
    size, mtime = extension.get("size"), extension.get("mtime")
    member = member._replace(
        name=extension.get("path", member.name),
        target=extension.get("linkpath", member.target),
        size=member.size if size is None else _decimal(size),
        mtime=member.mtime if mtime is None else min(_decimal(mtime), _LATEST),
    )
    return _normal(member)


def _decimal(value: bytes) -> int:
    """Return a decimal number without its fraction; 0 for a time before 1970."""
    whole = value.partition(b".")[0]
    if value[:1] == b"-":
        return 0
    if not whole.isdigit() or len(whole) > _LENGTH_DIGITS:
        raise SlugError("an extended header of the archive is damaged", hint=_MAKE_AGAIN)
    return int(whole)
