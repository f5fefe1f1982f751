"""Read a file that is compressed in one of several ways, or not at all."""

from __future__ import annotations

import lzma
import sys
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, Protocol

from hsup.slugs.errors import SlugError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Bytes that are decompressed at a time: enough for a thread to be worth its switches.
CHUNK = 1 << 20
#: Chunks that are there before they are needed: files of some are quicker to write.
_AHEAD = 4
#: What a decompressor may take for its window; `xz -9` needs 65 MiB, zstd has 128 at most.
MEMORY_BYTES = 256 << 20
#: The largest window, plus 16 for gzip's header and checksum (zlib.decompressobj).
_GZIP_FORMAT = 15 + 16

_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)


class _Decompressor(Protocol):
    """What the decompressors of lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def decompressed(file: BinaryIO) -> Generator[bytes, None, None]:
    """Yield the content of gzip, xz, zstd or plain data in pieces of at most CHUNK bytes.

    A thread decompresses the next piece while the caller deals with one; who
    does not read to the end closes the generator, or the thread stays. Raises
    SlugError for damaged data.
    """
    with ThreadPoolExecutor(1) as ahead:
        try:
            pieces = _pieces(file)
            coming = deque(ahead.submit(next, pieces, b"") for _ in range(_AHEAD))
            while piece := coming.popleft().result():
                coming.append(ahead.submit(next, pieces, b""))
                yield piece
        except _DAMAGE as error:
            hint = "make or fetch it again"
            raise SlugError(f"its compressed data is damaged: {error}", hint=hint) from error


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return _streams(file, _Gzip)
    if magic == b"\xfd7zXZ\0":
        return _streams(file, partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, MEMORY_BYTES))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _streams(file, zstd.ZstdDecompressor)
    return iter(partial(file.read, CHUNK), b"")


class _Gzip:
    """zlib's decompressor, as the others are.

    gzip.GzipFile reads 8 KiB at a time, so that its thread and the caller's
    would wait for each other a hundred times as often.
    """

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=_GZIP_FORMAT)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length
        return piece


def _streams(file: BinaryIO, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Yield the content of streams that follow one another, as all three formats allow."""
    data = file.read(CHUNK)
    while data:
        decompressor = make()
        yield from _stream(file, decompressor, data)
        # Those of xz may be padded with zeros, and gzip's are by tapes.
        data = (decompressor.unused_data or file.read(CHUNK)).lstrip(b"\0")


def _stream(file: BinaryIO, decompressor: _Decompressor, data: bytes) -> Iterator[bytes]:
    while True:
        if piece := decompressor.decompress(data, CHUNK):
            yield piece
        if decompressor.eof:
            return
        data = file.read(CHUNK) if decompressor.needs_input else b""
        if decompressor.needs_input and not data:
            raise EOFError("it ends too early")
