from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsup.slugs import HostileSlug, SlugError
from tests.archives.making import fix_checksum


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mtime", [-1, -86400 * 365, -(1 << 31)])
def test_times_before_1970_are_kept(
    form: int, mtime: int, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    file, directory = build.member("app/x", b"", mtime=mtime), build.member("app/d", mtime=mtime)
    app = unpacked(build.tar(file, directory, form=form))
    assert (app / "x").stat().st_mtime == mtime
    assert (app / "d").stat().st_mtime == mtime


@pytest.mark.parametrize("mtime", [b"\x80" + b"\xff" * 11, b"\xff" + bytes(11)])
def test_times_that_no_file_system_has_are_its_nearest(
    mtime: bytes, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    archive = bytearray(build.tar(build.member("app/x", b"x")))
    archive[136:148] = mtime
    fix_checksum(archive)
    assert (unpacked(bytes(archive)) / "x").read_bytes() == b"x"


@pytest.mark.parametrize(
    "size",
    [
        b"\xff" * 12,
        b"\xff" + bytes(11),
        b"-0000000001\0",
        b"1_000".ljust(12, b"\0"),
        b"8".ljust(12, b"\0"),
    ],
)
def test_sizes_that_are_none_are_refused(
    size: bytes, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    archive = bytearray(build.tar(build.member("app/x", b"x")))
    archive[124 : 124 + len(size)] = size
    fix_checksum(archive)
    with pytest.raises(SlugError, match="a number in a header of the archive is damaged"):
        unpacked(bytes(archive))


def test_a_size_of_80_bits_is_over_the_limit(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    archive = bytearray(build.tar(build.member("app/x", b"x")))
    archive[124:136] = b"\x80\0" + b"\xff" * 10
    fix_checksum(archive)
    with pytest.raises(HostileSlug, match="larger than the limit"):
        unpacked(bytes(archive))
