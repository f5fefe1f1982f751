"""Decompress mutated data: each stream is read to its end, or refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Iterator

from tests.fuzz.harness import fuzz, instrumented

with instrumented("hsup.archives", "hsup.slugs"):
    from hsup.archives.compression import CHUNK, decompressed
    from hsup.archives.errors import SlugError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONTENT = b"web: ./serve\n" * 20
#: Of what a few bytes may stand for, the first part is enough.
MAX_PIECES = 4


def seeds() -> Iterator[bytes]:
    for compress in (gzip.compress, bz2.compress, lzma.compress, zstd.compress):
        for content in (b"", CONTENT):
            yield compress(content)
            yield compress(content) + bytes(8) + compress(b"x") * 3
    yield zstd.compress(CONTENT) + b"\x50\x2a\x4d\x18\4\0\0\0skip" + zstd.compress(b"")
    yield CONTENT


def execute(data: bytes) -> None:
    pieces = decompressed(io.BytesIO(data))
    try:
        for _, piece in zip(range(MAX_PIECES), pieces, strict=False):
            assert 0 < len(piece) <= CHUNK
    except SlugError:
        pass
    finally:
        pieces.close()


if __name__ == "__main__":
    fuzz(execute, seeds())
