from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hsup.archives import compression
from hsup.slugs import HostileSlug, SlugError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zstd_as_its_tool(content: bytes) -> bytes:
    """Compress with a checksum: the program adds one by default, the library does not."""
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


@pytest.mark.parametrize(
    "compress",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstd.compress,
        bytes,
        lambda content: bz2.compress(content[:700]) + bz2.compress(content[700:]),
        lambda content: gzip.compress(content[:700]) + gzip.compress(content[700:]),
        lambda content: lzma.compress(content[:700]) + bytes(8) + lzma.compress(content[700:]),
        lambda content: zstd.compress(content[:700]) + zstd.compress(content[700:]),
    ],
    ids=[
        "gzip",
        "bzip2",
        "xz",
        "zstd",
        "plain",
        "two of bzip2",
        "two of gzip",
        "two of xz, padded",
        "two of zstd",
    ],
)
def test_every_compression_is_known_by_its_first_bytes(
    compress: Callable[..., Any] | type[bytes], build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    content = os.urandom(3 << 19)
    app = unpacked(compress(build.tar(build.member("app/x", content))))
    assert (app / "x").read_bytes() == content


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd_as_its_tool])
@pytest.mark.parametrize("damage", ["shorter", "changed"])
def test_damaged_data_is_told(
    compress: Callable[..., Any], damage: str, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    whole = bytearray(compress(build.tar(build.member("app/x", os.urandom(100_000)))))
    if damage == "shorter":
        del whole[-20_000:]
    else:
        whole[50_000] ^= 1
    # A block of bzip2 that was changed is known for it at its end only.
    with pytest.raises(SlugError, match="create or download the archive again"):
        unpacked(bytes(whole))


#: A frame of zstd that decompressors pass over, with nothing in it.
SKIPPABLE = b"\x50\x2a\x4d\x18" + bytes(4)


@pytest.mark.parametrize(
    ("start", "stream"),
    [
        (b"", gzip.compress(b"")),
        (b"", bz2.compress(b"")),
        (b"", lzma.compress(b"")),
        (b"", zstd.compress(b"")),
        (zstd.compress(b""), SKIPPABLE),
        (gzip.compress(bytes(2048)), gzip.compress(b"x")),
    ],
    ids=["gzip", "bzip2", "xz", "zstd", "skippable", "with a byte"],
)
def test_streams_of_next_to_nothing_are_refused(
    start: bytes, stream: bytes, unpacked: Callable[..., Path]
) -> None:
    with pytest.raises(HostileSlug, match="that are almost empty; compress the archive again"):
        unpacked(start + stream * ((1 << 20) // len(stream)))


def test_many_streams_that_have_something_are_taken(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    archive = build.tar(build.member("app/x", bytes(3 << 20)))
    blocks = [archive[at : at + 1024] for at in range(0, len(archive), 1024)]
    app = unpacked(b"".join(gzip.compress(block, 1) for block in blocks))
    assert (app / "x").stat().st_size == 3 << 20


def test_the_end_of_a_stream_does_not_cost_all_that_follows(
    build: ModuleType, unpacked: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    class Counting(compression.Gzip):
        def decompress(self, data: bytes, max_length: int) -> bytes:
            given.append(len(data))
            return super().decompress(data, max_length)

    monkeypatch.setattr(compression, "Gzip", Counting)
    archive = build.tar(build.member("app/x", os.urandom(500_000)))
    blocks = [archive[at : at + 1000] for at in range(0, len(archive), 1000)]
    packed = b"".join(map(gzip.compress, blocks))
    unpacked(packed)
    assert sum(given) < len(packed) + len(blocks) * 4096


def test_a_window_that_would_fill_memory_is_refused(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 300 << 20, "mf": lzma.MF_HC3}]
    archive = build.tar(build.member("app/x", b"x"))
    with pytest.raises(SlugError, match="Memory usage limit"):
        unpacked(lzma.compress(archive, filters=filters))
