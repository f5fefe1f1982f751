from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from hsup.slugs import HostileSlug, SlugError
from tests.archives.making import fix_checksum

SPARSE_FORMATS = [
    "--format=gnu",
    "--sparse-version=0.0",
    "--sparse-version=0.1",
    "--sparse-version=1.0",
]


@pytest.mark.parametrize("form", SPARSE_FORMATS)
@pytest.mark.parametrize("parts", [0, 1, 3, 4, 5, 60], ids="{} parts".format)
def test_sparse_files_keep_content_and_holes(
    form: str, parts: int, unpacked: Callable[..., Path], tmp_path: Path
) -> None:
    """A GNU header has four parts, each block after it 21."""
    path = tmp_path / "tree/app/sparse"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for part in range(parts):
            file.seek((part << 16) + 4096)
            file.write(b"%d" % part * 2000)
        file.truncate((parts << 16) + 8192)
    (path.parent / "after").write_bytes(b"after")
    options = [form] if form == "--format=gnu" else ["--format=pax", form]
    command = [
        "tar",
        "--sparse",
        *options,
        "-C",
        str(path.parents[1]),
        "-c",
        "app/sparse",
        "app/after",
    ]
    app = unpacked(subprocess.run(command, check=True, capture_output=True).stdout)
    assert (app / "sparse").read_bytes() == path.read_bytes()
    assert (app / "after").read_bytes() == b"after"
    assert (app / "sparse").stat().st_blocks <= path.stat().st_blocks


def sparse(
    build: ModuleType, content: bytes, headers: Mapping[str, str], name: str = "app/x"
) -> bytes:
    headers = {f"GNU.sparse.{key}": value for key, value in headers.items()}
    return build.tar(build.member(name, content, pax_headers=headers), form=tarfile.PAX_FORMAT)


NEW = {"major": "1", "minor": "0", "name": "app/x", "realsize": "10"}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"abc", {"size": "10", "map": "0,4"}),
        (b"abc", {"size": "10", "map": "0,2"}),
        (b"abc", {"size": "10", "map": "8,3"}),
        (b"abc", {"size": "10", "map": "4,2,2,1"}),
        (b"abc", {"size": "10", "map": "4,2,5,1"}),
        (b"abc", {"size": "10", "map": "0,3,4"}),
        (b"abc", {"size": "10", "map": "-1,3"}),
        (b"abc", {"map": "0,3"}),
        (b"abc", {"size": "10", "map": "0," + "9" * 40}),
        (b"abc", {**NEW, "major": "2"}),
        (b"1\n0\n3\n", NEW),
        (b"1\n0\n3\n".ljust(512, b"\0") + b"abcd", NEW),
        (b"2\n0\n3\n".ljust(512, b"\0") + b"abc", NEW),
        (b"-1\n".ljust(512, b"\0"), NEW),
        (b"x".ljust(512, b"\0"), NEW),
        (b"9" * 30 + b"\n".ljust(482, b"\0"), NEW),
    ],
)
def test_a_map_that_is_damaged_is_told(
    content: bytes, headers: dict[str, str], build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    with pytest.raises(
        SlugError, match=r"(the map of a sparse file|an extended header) .* damaged"
    ):
        unpacked(sparse(build, content, headers))


def test_a_map_that_would_fill_memory_is_refused(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    content = b"1000000000\n" + b"0\n" * (1 << 20)
    with pytest.raises(
        HostileSlug, match="map of a sparse file in the archive is larger than 1048576 by"
    ):
        unpacked(sparse(build, content, NEW))


def test_blocks_of_a_map_without_end_are_refused(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    header = build.member("app/x", b"", type=tarfile.GNUTYPE_SPARSE)[0]
    archive = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    archive[482] = 1
    fix_checksum(archive)
    more = bytes(504) + b"\1" + bytes(7)
    with pytest.raises(HostileSlug, match="the map of a sparse file"):
        unpacked(bytes(archive) + more * 3000)
