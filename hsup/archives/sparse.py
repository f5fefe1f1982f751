"""Read the map of a sparse file: where its content belongs, and so where its holes are.

The map is in one of four places (GNU tar's manual, "Storing Sparse Files"): in
the header and the blocks after it (type `S`), in a pax header as many records (0.0)
or as one (0.1), or before the content (1.0), where the tar of macOS writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from hsup.archives.errors import HostileSlug, SlugError
from hsup.archives.numbers import MAKE_AGAIN, decimal, integer
from hsup.archives.stream import Stream

BLOCK = 512
#: A map of 40,000 parts.
MAX_MAP_BYTES = 1 << 20

# A GNU header has four entries, an offset and a size of 12 bytes each.
_ENTRIES = slice(386, 482)
_NUMBER = 12
_IS_EXTENDED = 482
_REAL_SIZE = slice(483, 495)
# A block that extends the header has 21 entries.
_MORE_ENTRIES = slice(0, 504)
_IS_EXTENDED_AGAIN = 504


class Extent(NamedTuple):
    """The offset in the file of one part of the content, and its size in bytes."""

    offset: int
    size: int


class SparseMap(NamedTuple):
    """The size of a file with its holes, and its parts in order."""

    size: int
    parts: tuple[Extent, ...]


def map_of_header(header: bytes, content_size: int, stream: Stream) -> SparseMap:
    """Return the map in a GNU header and in the blocks after it. Raises SlugError."""
    entries, is_extended = header[_ENTRIES], header[_IS_EXTENDED]
    blocks = [entries]
    while is_extended:
        if len(blocks) * BLOCK > MAX_MAP_BYTES:
            raise _too_large()
        block = stream.read(BLOCK)
        is_extended = block[_IS_EXTENDED_AGAIN]
        blocks.append(block[_MORE_ENTRIES])
    return _checked(integer(header[_REAL_SIZE]), _entries(b"".join(blocks)), content_size)


def map_of_record(value: bytes, real_size: int, content_size: int) -> SparseMap:
    """Return the map in a pax record, `OFFSET,SIZE,…`. Raises SlugError."""
    return _checked(real_size, map(decimal, value.split(b",") if value else ()), content_size)


def map_of_content(stream: Stream, real_size: int, content_size: int) -> SparseMap:
    """Read the map before the content: the number of parts, and two numbers for each part.

    The content of the parts follows it. Raises SlugError.
    """
    text = bytearray()
    lines, wanted = 0, 1
    while lines < wanted:
        if len(text) >= MAX_MAP_BYTES:
            raise _too_large()
        if len(text) + BLOCK > content_size:
            raise _damaged()
        block = stream.read(BLOCK)
        text += block
        lines += block.count(b"\n")
        if wanted == 1 and lines:
            wanted += 2 * decimal(bytes(text[: text.index(b"\n")]))
    numbers = map(decimal, bytes(text).split(b"\n")[1:wanted])
    return _checked(real_size, numbers, content_size - len(text))


def _entries(area: bytes) -> Iterator[int]:
    """Yield the numbers of the entries, up to the first entry without a size."""
    for at in range(0, len(area), 2 * _NUMBER):
        offset, size = area[at : at + _NUMBER], area[at + _NUMBER : at + 2 * _NUMBER]
        if not size[0]:
            return
        yield integer(offset)
        yield integer(size)


def _checked(real_size: int, numbers: Iterable[int], content_size: int) -> SparseMap:
    """Return a map whose parts are in order, inside the file, and make up the content."""
    flat = list(numbers)
    parts = tuple(map(Extent, flat[::2], flat[1::2]))
    ends = [part.offset + part.size for part in parts]
    bounds = [
        0,
        *(bound for part, end in zip(parts, ends, strict=True) for bound in (part.offset, end)),
        real_size,
    ]
    is_in_order = all(before <= after for before, after in pairwise(bounds))
    if len(flat) % 2 or not is_in_order or sum(part.size for part in parts) != content_size:
        raise _damaged()
    return SparseMap(real_size, parts)


def _damaged() -> SlugError:
    return SlugError("the map of a sparse file in the archive is damaged", hint=MAKE_AGAIN)


def _too_large() -> SlugError:
    text = f"the map of a sparse file in the archive is larger than {MAX_MAP_BYTES} bytes"
    return HostileSlug(text)
