"""Readers of archives advance or fail on any input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from hsup.archives.compression import decompressed
from hsup.archives.stream import Stream
from hsup.archives.tar import members
from hsup.slugs import SlugError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail a reader that would never end."""

    def fail(*_: object) -> None:
        raise AssertionError("it neither advances nor fails")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_it_advances(content: bytes) -> None:
    """Read to the end or to an error; every member takes at least its header."""
    stream = Stream(iter([content]), 1 << 20)
    before = 0
    with no_hang():
        try:
            for _ in members(stream):
                assert stream.position >= before + 512
                before = stream.position
        except SlugError:
            pass


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_a_reader_of_any_bytes_advances_or_fails(content: bytes) -> None:
    assert_it_advances(content)


KINDS_OF_HEADERS = st.sampled_from([*b"01234567DKLMNSVXgx\0"])

RECORDS = st.lists(
    st.sampled_from(
        [b"0", b"6 a=b\n", b"12 size=1000\n", b" ", b"\n", b"=", b"22 GNU.sparse.map=0,5\n"]
    )
).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(KINDS_OF_HEADERS, RECORDS, st.integers(0, 2000)), max_size=6))
def test_a_reader_of_any_headers_advances_or_fails(parts: list[tuple[int, bytes, int]]) -> None:
    archive = bytearray()
    for kind, content, size in parts:
        info = tarfile.TarInfo("app/x")
        info.type, info.size = bytes([kind]), size
        archive += info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)
    assert_it_advances(bytes(archive) + bytes(1024))


COMPRESS = st.sampled_from([gzip.compress, bz2.compress, lzma.compress, zstd.compress])


@settings(max_examples=150, deadline=None)
@given(COMPRESS, st.lists(st.binary(max_size=300), max_size=4), st.data())
def test_a_decompressor_of_any_bytes_advances_or_fails(
    compress: Callable[[bytes], bytes], contents: list[bytes], data: st.DataObject
) -> None:
    packed = bytearray(b"".join(map(compress, contents)))
    for _ in range(data.draw(st.integers(0, 3)) if packed else 0):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    with no_hang():
        try:
            assert all(decompressed(io.BytesIO(packed)))
        except SlugError:
            pass
