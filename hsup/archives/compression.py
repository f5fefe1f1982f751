"""Read a file that is compressed in one of several ways, or not at all."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, Protocol

from hsup.archives.errors import HostileSlug, SlugError
from hsup.errors import TooManyProcesses

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

#: What a stream is given first: all that is left of it is copied where the stream ends.
_FIRST_READ = 4096
#: Streams that are empty cost time and count for nothing. bgzip makes one of 64 KiB.
_STREAMS_AT_LEAST, _BYTES_PER_STREAM = 1000, 1024

_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)


class _Decompressor(Protocol):
    """What the decompressors of bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def decompressed(
    file: BinaryIO, see: Callable[[bytes], None] | None = None
) -> Generator[bytes, None, None]:
    """Yield the content of gzip, bzip2, xz, zstd or plain data in pieces of at most CHUNK bytes.

    A thread decompresses the next piece while the caller deals with one; who
    does not read to the end closes the generator, or the thread stays. That thread
    calls `see` with what it has read of the file, each byte once and in order. Raises
    SlugError for damaged data, and TooManyProcesses.
    """
    with ThreadPoolExecutor(1) as ahead:
        try:
            pieces = _pieces(_Source(file, see))
            coming = deque([_first(ahead, pieces)])
            coming.extend(ahead.submit(next, pieces, b"") for _ in range(1, _AHEAD))
            while piece := coming.popleft().result():
                coming.append(ahead.submit(next, pieces, b""))
                yield piece
        except _DAMAGE as error:
            raise _damage(error) from error
        except OSError as error:
            # bz2 has no error of its own; those of the file have numbers.
            if error.errno is not None:
                raise
            raise _damage(error) from error


def _first(ahead: ThreadPoolExecutor, pieces: Iterator[bytes]) -> Future[bytes]:
    """Return the first piece to come, for which the thread is started."""
    try:
        return ahead.submit(next, pieces, b"")
    except RuntimeError as error:
        raise TooManyProcesses from error


def _damage(error: Exception) -> SlugError:
    hint = "make or fetch it again"
    return SlugError(f"its compressed data is damaged: {error}", hint=hint)


def _pieces(source: _Source) -> Iterator[bytes]:
    magic = source.read(6)
    source.give_back(len(magic))
    if magic.startswith(b"\x1f\x8b"):
        return _streams(source, Gzip)
    if magic.startswith(b"BZh"):
        return _streams(source, bz2.BZ2Decompressor)
    if magic == b"\xfd7zXZ\0":
        return _streams(source, partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, MEMORY_BYTES))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _streams(source, zstd.ZstdDecompressor)
    return iter(partial(source.read, CHUNK), b"")


class Gzip:
    """zlib's decompressor, as the others are.

    gzip.GzipFile reads 8 KiB at a time, so that its thread and the caller's
    would wait for each other a hundred times as often.
    """

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=_GZIP_FORMAT)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Tell whether the stream has ended."""
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        """Return what was given after the end of the stream."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return the next bytes. Raises zlib.error."""
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length
        return piece


def _streams(source: _Source, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Yield the content of streams that follow one another, as all these formats allow."""
    allowance = _STREAMS_AT_LEAST * _BYTES_PER_STREAM
    while source.skip_zeros():
        decompressor = make()
        size = _FIRST_READ
        while not decompressor.eof:
            data = source.read(size) if decompressor.needs_input else b""
            if decompressor.needs_input and not data:
                raise EOFError("it ends too early")
            if piece := decompressor.decompress(data, CHUNK):
                allowance += len(piece)
                yield piece
            size = min(2 * size, CHUNK)
        source.give_back(len(decompressor.unused_data))
        allowance -= _BYTES_PER_STREAM
        if allowance < 0:
            raise HostileSlug("its compressed data is in too many streams, of next to nothing")


class _Source:
    """A file's bytes, of which some can be given back."""

    def __init__(self, file: BinaryIO, see: Callable[[bytes], None] | None) -> None:
        self._file = file
        self._see = see
        self._data = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, none at the end."""
        if self._at == len(self._data):
            self._data, self._at = self._file.read(CHUNK), 0
            if self._see:
                self._see(self._data)
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        return data

    def give_back(self, size: int) -> None:
        """Have the end of what was read last read again."""
        self._at -= size

    def skip_zeros(self) -> bool:
        """Go to what is no padding, which streams of xz may have, and gzip's by tapes."""
        while data := self.read(_FIRST_READ):
            if rest := data.lstrip(b"\0"):
                self.give_back(len(rest))
                return True
        return False
