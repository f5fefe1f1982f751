"""Read the extended headers before a member, as the records of pax (man 1 pax)."""

from __future__ import annotations

from hsup.archives.errors import HostileSlug
from hsup.archives.numbers import damaged_extension, decimal
from hsup.archives.sparse import BLOCK, SparseMap, map_of_content, map_of_record
from hsup.archives.stream import Stream
from hsup.numerals import whole_number

#: Enough for two names (PATH_MAX is 4096) and for attributes that hsup does not use.
MAX_HEADER_BYTES = 1 << 20

_NEWLINE = ord("\n")
#: Digits of a number in a pax header; 2^63 has 19.
_LENGTH_DIGITS = 20
_LONG_NAME, _LONG_TARGET, _COMMON, _LABEL = b"L", b"K", b"g", b"V"
#: Solaris writes `X` for the same.
_PAX = {b"x", b"X"}
#: The types of the extended headers.
EXTENSIONS = {_LONG_NAME, _LONG_TARGET, *_PAX, _COMMON, _LABEL}

#: The records of pax headers, which describe the member after them.
Records = dict[bytes, bytes]

PATH, TARGET, SIZE, TIME = b"path", b"linkpath", b"size", b"mtime"
SPARSE_NAME, _SPARSE_MAP, _SPARSE_MAJOR = (
    b"GNU.sparse.name",
    b"GNU.sparse.map",
    b"GNU.sparse.major",
)
#: The size with the holes, in the newer form and in the older ones.
_REAL_SIZE, _OLD_REAL_SIZE = b"GNU.sparse.realsize", b"GNU.sparse.size"
#: The oldest form has a record for each number of the map.
_SPARSE_NUMBERS = {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}
#: Any of these records marks a file as sparse.
_SPARSE = {_SPARSE_MAP, _SPARSE_MAJOR, _OLD_REAL_SIZE}
#: Other records are not kept, so that memory stays bounded.
_WANTED = {PATH, TARGET, SIZE, TIME, SPARSE_NAME, _REAL_SIZE, *_SPARSE}


class Extension:
    """The extended headers before a member, as the records of pax."""

    def __init__(self) -> None:
        self.records: Records = {}
        self._bytes = 0

    def clear(self) -> None:
        """Forget the records, for the next member."""
        if self._bytes:
            self.records, self._bytes = {}, 0

    def read(self, kind: bytes, size: int, stream: Stream) -> None:
        """Add the content of a header. Raises SlugError."""
        self._bytes += BLOCK + size
        if size > MAX_HEADER_BYTES:
            raise HostileSlug(f"a header of the archive is too large: {size} bytes")
        if self._bytes > MAX_HEADER_BYTES:
            text = f"the headers of one member are larger than {MAX_HEADER_BYTES} bytes"
            raise HostileSlug(text)
        # Headers for all members, such as the comment of `git archive`, are not needed.
        if kind == _LONG_NAME:
            self.records[PATH] = text_of(stream.read(size))
        elif kind == _LONG_TARGET:
            self.records[TARGET] = text_of(stream.read(size))
        elif kind in _PAX:
            self.records |= _read_records(stream.read(size))
        elif kind == _LABEL:
            self.clear()  # the records before it described the label


def map_of_records(records: Records, size: int, stream: Stream) -> tuple[SparseMap | None, int]:
    """Return the map of a sparse file, None for any other, and the size of the content after it.

    Raises SlugError.
    """
    if not records.keys() & _SPARSE:
        return None, size
    version = records.get(_SPARSE_MAJOR, b"0")
    if version == b"0":
        real_size = decimal(records.get(_OLD_REAL_SIZE, b""))
        return map_of_record(records.get(_SPARSE_MAP, b""), real_size, size), size
    if version != b"1":
        raise damaged_extension()
    start = stream.position
    sparse = map_of_content(stream, decimal(records.get(_REAL_SIZE, b"")), size)
    return sparse, size - (stream.position - start)


def _read_records(content: bytes) -> Records:
    """Return the wanted records of a pax header, each `LENGTH KEY=VALUE` and a newline."""
    records: Records = {}
    numbers: list[bytes] = []
    start = 0
    while start < len(content):
        blank = content.find(b" ", start, start + _LENGTH_DIGITS)
        end = start + (whole_number(content[start:blank], _LENGTH_DIGITS) or 0)
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if not (start < blank < end <= len(content) and equals and content[end - 1] == _NEWLINE):
            raise damaged_extension()
        if key in _WANTED:
            records[key] = value
        elif key in _SPARSE_NUMBERS:
            numbers.append(value)
        start = end
    if numbers:
        records[_SPARSE_MAP] = b",".join(numbers)
    return records


def text_of(field: bytes) -> bytes:
    """Return a field up to its first NUL."""
    return field.partition(b"\0")[0]
