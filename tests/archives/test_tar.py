from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsup.slugs import HostileSlug, SlugError


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links_are_kept(
    form: int, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    long = "/".join(["directory-with-a-name"] * 12)
    file = build.member(f"./app/{long}/x", b"x")
    links = build.link(f"./app/{long}/y", f"/app/{long}/x"), build.link("./app/z", f"{long}/x")
    app = unpacked(build.tar(file, *links, form=form))
    assert (app / long / "x").read_bytes() == b"x"
    assert os.readlink(app / long / "y") == f"/app/{long}/x"
    assert os.readlink(app / "z") == f"{long}/x"


def test_names_are_bytes(build: ModuleType, unpacked: Callable[..., Path]) -> None:
    names = {b"latin-\xe9", b"new\nline", "ü".encode(), b" "}
    files = [build.member(os.fsdecode(b"app/" + name), b"") for name in names]
    app = unpacked(build.tar(*files))
    assert set(os.listdir(os.fsencode(app))) == names


def test_checksums_of_signed_bytes_are_taken(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    archive = bytearray(build.tar(build.member("app/\udcff\udcfe", b"x")))
    archive[148:156] = b" " * 8
    signed = sum(byte - 256 * (byte > 127) for byte in archive[:512])
    archive[148:156] = b"%06o\0 " % signed
    assert os.listdir(os.fsencode(unpacked(bytes(archive)))) == [b"\xff\xfe"]


def test_a_directory_of_an_incremental_archive_is_a_directory(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    names = b"Yx\0Ygone\0\0"
    dumped = build.member("app/d/", names, type=b"D", mode=0o700)
    app = unpacked(build.tar(dumped, build.member("app/d/x", b"x")))
    assert (app / "d").stat().st_mode & 0o777 == 0o700
    assert (app / "d/x").read_bytes() == b"x"


def test_the_label_of_an_archive_is_left_out(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    label = build.member("app/backup", b"", type=b"V")
    assert os.listdir(unpacked(build.tar(label, build.member("app/x", b"")))) == ["x"]


def test_headers_without_end_before_one_member_are_refused(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    header = build.member("x", b"7 a=bc\n", type=tarfile.XHDTYPE)
    with pytest.raises(HostileSlug, match="the headers of one member are larger than"):
        unpacked(build.tar(*[header] * 3000, build.member("app/x", b"")))


@pytest.mark.parametrize("at", [100, 700, 1100, 1600])
def test_an_archive_that_was_cut_off_is_told(
    at: int, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    with pytest.raises(SlugError, match="ends too early"):
        unpacked(build.tar(build.member("app/x", b"x" * 600))[:at])


def test_names_of_ustar_have_two_parts(build: ModuleType, unpacked: Callable[..., Path]) -> None:
    name = "app/" + "d" * 90 + "/" + "f" * 90
    app = unpacked(build.tar(build.member(name, b"x"), form=tarfile.USTAR_FORMAT))
    assert (app.parent / name).read_bytes() == b"x"
