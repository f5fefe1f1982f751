from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsup.slugs import HostileSlug, SlugError


def test_times_with_a_fraction_and_large_sizes_are_read(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    fields = {"mtime": 1_500_000_000.75, "pax_headers": {"comment": "ü", "SCHILY.xattr.a": "=\n"}}
    app = unpacked(build.tar(build.member("app/x", b"x", **fields), form=tarfile.PAX_FORMAT))
    assert (app / "x").stat().st_mtime == 1_500_000_000


def test_a_fraction_before_1970_is_rounded_down_as_it_is_after(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    files = [
        build.member("app/x", b"", pax_headers={"mtime": "-1.25"}),
        build.member("app/y", b"", pax_headers={"mtime": "-1.00"}),
    ]
    app = unpacked(build.tar(*files, form=tarfile.PAX_FORMAT))
    assert ((app / "x").stat().st_mtime, (app / "y").stat().st_mtime) == (-2, -1)


@pytest.mark.parametrize("content", [b"9" * 5000, b"9" * 30 + b" path=x\n", b"\xb2 path=x\n"])
def test_the_length_of_a_record_is_bounded(
    content: bytes, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    header = build.member("header", content, type=tarfile.XHDTYPE)
    with pytest.raises(SlugError, match="an extended header of the archive is damaged"):
        unpacked(build.tar(header, build.member("app/x", b"")))


def test_a_header_that_would_fill_memory_is_refused(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    headers = {"comment": "x" * (2 << 20)}
    with pytest.raises(HostileSlug, match="a header of the archive is too large: 2097"):
        unpacked(
            build.tar(build.member("app/x", b"", pax_headers=headers), form=tarfile.PAX_FORMAT)
        )


@pytest.mark.parametrize(
    "record",
    [
        b"no-blank-in-the-first-20=x\n",
        b"0",
        b"12",
        b"0 a=b\n",
        b"1 ",
        b"6a=bb\n",
        b" a=b\n",
        b"-6 a=b\n",
        b"7 a=b\n",
        b"6 abc\n",
    ],
)
def test_an_extended_header_that_is_damaged_is_told(
    record: bytes, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    header = build.member("x", record, type=tarfile.XHDTYPE)
    with pytest.raises(SlugError, match="an extended header of the archive is damaged"):
        unpacked(build.tar(header, build.member("app/x", b"")))
