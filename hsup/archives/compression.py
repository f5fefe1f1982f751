"""Read a file that may be compressed: with gzip, bzip2, xz, zstd, or not at all."""

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

#: Bytes decompressed at a time: enough to make up for the switches between threads.
CHUNK = 1 << 20
#: Chunks decompressed ahead: the caller writes some of them faster than others.
_AHEAD = 4
#: Memory of a decompressor for its window; `xz -9` needs 65 MiB, zstd at most 128.
MEMORY_BYTES = 256 << 20
#: The largest window, plus 16 for gzip's header and checksum (zlib.decompressobj).
_GZIP_FORMAT = 15 + 16

#: Bytes that a stream is given first: those that it does not use are copied when it ends.
_FIRST_READ = 4096
#: Empty streams take time and add nothing to the size. Those of bgzip have 64 KiB.
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

    A thread decompresses the next pieces while the caller handles one. A caller that
    does not read to the end must close the generator, or the thread stays. That thread
    calls `see` with what it reads of the file, each byte once and in order. Raises
    SlugError for damaged data, and TooManyProcesses.
    """
    with ThreadPoolExecutor(1) as ahead:
        try:
            pieces = _pieces(_PushbackReader(file, see))
            coming = deque([_first(ahead, pieces)])
            coming.extend(ahead.submit(next, pieces, b"") for _ in range(1, _AHEAD))
            while piece := coming.popleft().result():
                coming.append(ahead.submit(next, pieces, b""))
                yield piece
        except _DAMAGE as error:
            raise _damage(error) from error
        except OSError as error:
            # For damaged data bz2 raises an OSError without a number; errors of the file have one.
            if error.errno is not None:
                raise
            raise _damage(error) from error


def _first(ahead: ThreadPoolExecutor, pieces: Iterator[bytes]) -> Future[bytes]:
    """Start the thread with the first piece. Raises TooManyProcesses."""
    try:
        return ahead.submit(next, pieces, b"")
    except RuntimeError as error:
        raise TooManyProcesses from error


def _damage(error: Exception) -> SlugError:
    hint = "create or download the archive again"
    return SlugError(f"its compressed data is damaged: {error}", hint=hint)


def _pieces(source: _PushbackReader) -> Iterator[bytes]:
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
    """zlib's decompressor, with the interface of the others.

    gzip.GzipFile reads 8 KiB at a time: its thread and the caller's would wait for
    each other a hundred times as often.
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
        """Return the bytes that were given after the end of the stream."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return the next bytes. Raises zlib.error."""
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length
        return piece


def _streams(source: _PushbackReader, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Yield the content of concatenated streams, which all these formats allow."""
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
            text = "its compressed data has too many streams that are almost empty"
            raise HostileSlug(text, hint="compress the archive again, as one stream")


class _PushbackReader:
    """The bytes of a file; the last ones that were read can be given back."""

    def __init__(self, file: BinaryIO, see: Callable[[bytes], None] | None) -> None:
        self._file = file
        self._see = see
        self._data = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end."""
        if self._at == len(self._data):
            self._data, self._at = self._file.read(CHUNK), 0
            if self._see:
                self._see(self._data)
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        return data

    def give_back(self, size: int) -> None:
        """Give back the last `size` bytes, to be read again."""
        self._at -= size

    def skip_zeros(self) -> bool:
        """Skip zeros between streams (padding of xz and of tapes); tell whether data follows."""
        while data := self.read(_FIRST_READ):
            if rest := data.lstrip(b"\0"):
                self.give_back(len(rest))
                return True
        return False
