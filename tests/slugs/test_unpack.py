from __future__ import annotations

import gzip
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hsup.archives.limits import Limits
from hsup.slugs import HostileSlug, SlugError
from tests.archives.making import LIMITS, Member


@pytest.mark.parametrize("name", ["./app/bin/serve", "app/bin/serve", "./app//bin/./serve"])
def test_a_file_keeps_content_permissions_and_time(
    name: str, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    app = unpacked(build.tar(build.member(name, b"#!/bin/sh\n", mode=0o750, mtime=1_500_000_000)))
    found = (app / "bin/serve").stat()
    assert (app / "bin/serve").read_bytes() == b"#!/bin/sh\n"
    assert (found.st_mode & 0o7777, found.st_mtime) == (0o750, 1_500_000_000)
    assert found.st_uid == os.geteuid()


def test_modes_do_not_depend_on_the_umask(build: ModuleType, unpacked: Callable[..., Path]) -> None:
    before = os.umask(0o077)
    try:
        app = unpacked(build.tar(build.member("app/lib/x", b"", mode=0o666)))
    finally:
        os.umask(before)
    assert (app / "lib/x").stat().st_mode & 0o777 == 0o666
    assert (app / "lib").stat().st_mode & 0o777 == 0o755


def test_directories_keep_permissions_and_time_and_stay_removable(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    directory = build.member("app/read-only", None, mode=0o2555, mtime=1_500_000_000)
    app = unpacked(build.tar(directory, build.member("app/read-only/x", b"")))
    found = (app / "read-only").stat()
    assert (found.st_mode & 0o7777, found.st_mtime) == (0o755, 1_500_000_000)


def test_what_is_not_under_app_is_left_out(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    outside = build.member("./etc/passwd", b"root"), build.member("apple", b"")
    app = unpacked(build.tar(*outside, build.member("./app/x", b"x")))
    assert os.listdir(app.parent) == ["app"]
    assert os.listdir(app) == ["x"]


@pytest.mark.parametrize(
    "members",
    [[], [("./app", None)], [("./etc/x", b"")]],
    ids=["no member", "the directory alone", "others only"],
)
def test_a_slug_with_nothing_under_app_is_told(
    members: list[Any], build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    with pytest.raises(SlugError, match=r"nothing under ./app/; make the archive with: tar"):
        unpacked(build.tar(*(build.member(*one) for one in members)))


def test_an_empty_directory_under_app_is_something(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    assert os.listdir(unpacked(build.tar(build.member("app/tmp/pids")))) == ["tmp"]


@pytest.mark.parametrize(
    ("at", "target"),
    [
        ("app/python", "/usr/bin/python3"),
        ("app/a", "/app/b"),
        ("app/a/b/c", "../../d"),
        ("app/a", "b/../c"),
        ("app/a", "absent"),
        ("app/a", "."),
        ("app/a", "/tmp/../etc/passwd"),
        ("app/a", ".."),
        ("app/a", "../../etc/passwd"),
        ("app/a", "b/../../../c"),
        ("app/a", "a"),
    ],
)
def test_links_are_kept_wherever_they_lead(
    at: str, target: str, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    app = unpacked(build.tar(build.link(at, target)))
    assert os.readlink(app.parent / at) == target


def test_hard_links_are_kept(build: ModuleType, unpacked: Callable[..., Path]) -> None:
    files = build.member("./app/a/x", b"x"), build.link("./app/y", "./app/a/x", tarfile.LNKTYPE)
    app = unpacked(build.tar(*files))
    assert (app / "y").samefile(app / "a/x")


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755, 0o1755])
def test_set_id_bits_are_not_kept(
    mode: int, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    app = unpacked(
        build.tar(build.member("app/x", b"", mode=mode), build.member("app/d", mode=mode))
    )
    assert (app / "x").stat().st_mode & 0o7777 == 0o755
    assert (app / "d").stat().st_mode & 0o7777 == 0o755


#: Members by one name: what is there in the end, as of GNU tar.
Content = bytes | str | None
DUPLICATES: dict[str, tuple[list[tuple[str, Content]], Content]] = {
    "files": ([("app/x", b"old"), ("./app//x", b"new")], b"new"),
    "a link, a file": ([("app/x", "/tmp/x"), ("app/x", b"new")], b"new"),
    "a file, a link": ([("app/x", b"old"), ("app/x", "y")], "y"),
    "links": ([("app/x", "y"), ("app/x", "z")], "z"),
    "a file, a directory": ([("app/x", b"old"), ("app/x", None)], None),
    "a link, a directory": ([("app/x", "/tmp"), ("app/x", None)], None),
    "a directory, a file": ([("app/x", None), ("app/x", b"new")], b"new"),
    "a directory, a link": ([("app/x", None), ("app/x", "y")], "y"),
    "directories": ([("app/x", None), ("app/x", None)], None),
}


@pytest.mark.parametrize("case", DUPLICATES)
def test_of_a_name_twice_the_last_member_wins(
    case: str, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    parts, last = DUPLICATES[case]
    members = [
        build.link(name, content) if isinstance(content, str) else build.member(name, content)
        for name, content in parts
    ]
    path = unpacked(build.tar(*members)) / "x"
    if isinstance(last, str):
        assert os.readlink(path) == last
    elif last is None:
        assert path.is_dir()
        assert not path.is_symlink()
    else:
        assert not path.is_symlink()
        assert path.read_bytes() == last


def test_what_a_hard_link_leads_to_survives_a_later_member(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    app = unpacked(
        build.tar(
            build.member("app/x", b"old"),
            build.link("app/y", "app/x", tarfile.LNKTYPE),
            build.member("app/x", b"new"),
        )
    )
    assert ((app / "x").read_bytes(), (app / "y").read_bytes()) == (b"new", b"old")


def test_what_is_replaced_does_not_count_for_the_limit(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    once = build.member("app/x", bytes(20_000))
    with pytest.raises(
        HostileSlug, match=r"unpacks to more than .* bytes; raise HSUP_SLUGS_MAX_SIZE"
    ):
        unpacked(build.tar(*[once] * 4), limits=Limits(size=70_000, files=10))


def test_a_hard_link_to_itself_changes_nothing(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    itself = build.link("app/x", "./app/x", tarfile.LNKTYPE)
    app = unpacked(build.tar(build.member("app/x", b"x"), itself))
    assert (app / "x").read_bytes() == b"x"


def test_a_hard_link_replaces_what_is_there(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    files = build.member("app/x", b"x"), build.member("app/y", b"y")
    app = unpacked(build.tar(*files, build.link("app/y", "app/x", tarfile.LNKTYPE)))
    assert (app / "y").samefile(app / "x")
    assert (app / "y").read_bytes() == b"x"


def test_a_hard_link_to_a_link_is_that_link(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    app = unpacked(
        build.tar(build.link("app/a/x", "../../y"), build.link("app/z", "app/a/x", tarfile.LNKTYPE))
    )
    assert os.readlink(app / "z") == "../../y"


def file(name: str, **fields: object) -> Callable[[ModuleType], Member]:
    return lambda build: build.member(name, b"", **fields)


def directory(name: str) -> Callable[[ModuleType], Member]:
    return lambda build: build.member(name)


def link(name: str, target: str) -> Callable[[ModuleType], Member]:
    return lambda build: build.link(name, target)


def hard_link(name: str, target: str) -> Callable[[ModuleType], Member]:
    return lambda build: build.link(name, target, tarfile.LNKTYPE)


#: Members of an archive, and what is said of the one that is refused.
HOSTILE = {
    "dots": ([file("app/../../x")], 'its member app/../../x has ".." in its name;'),
    "dots outside of app": ([file("../x")], "../x has"),
    "dots at the end": ([directory("app/..")], "app/../ has"),
    "absolute": ([file("/app/x")], "its member /app/x has an absolute name;"),
    "two slashes": ([file("//app/x")], "absolute name"),
    "link to nothing": ([link("app/x", "")], "app/x is a symbolic link with an empty target"),
    "app is a link": ([link("app", "/etc")], "app must be a directory"),
    "app is a link, used": ([link("./app", "/etc"), file("app/x")], "app must be a directory"),
    "app is a file": ([file("app")], "app must be a directory"),
    "through a link": (
        [link("app/d", "/tmp"), file("app/d/x")],
        "app/d/x is below app/d, which is not a directory",
    ),
    "through a link, further up": (
        [link("app/d", "/tmp"), file("app/d/e/f/x")],
        "app/d/e/f/x is below app/d, which is not a directory",
    ),
    "a directory, a link, through it": (
        [directory("app/d"), link("app/d", "/tmp"), file("app/d/x")],
        "app/d/x is below app/d, which is not a directory",
    ),
    "below a file": ([file("app/x"), file("app/x/y")], "app/x/y is below app/x, which is not"),
    "a full directory, a file": (
        [file("app/d/x"), file("app/d")],
        "app/d replaces a directory that is not empty",
    ),
    "a full directory, a link": ([file("app/d/x"), link("app/d", "/tmp")], "app/d replaces a"),
    "hard link out": (
        [hard_link("app/x", "../etc/passwd")],
        'app/x is a hard link to ../etc/passwd, which contains "..";',
    ),
    "hard link, absolute": (
        [hard_link("./app/x", "/etc/passwd")],
        "./app/x is a hard link to an absolute path, /etc/passwd;",
    ),
    "hard link, NUL": (
        [file("app/x", type=tarfile.LNKTYPE, pax_headers={"linkpath": "a\0b"})],
        "app/x is a hard link to a\\x00b, which contains a NUL character;",
    ),
    "hard link to others": ([file("etc/x"), hard_link("app/x", "etc/x")], "a hard link to etc/x"),
    "hard link to later": (
        [hard_link("app/y", "app/x"), file("app/x")],
        "not an earlier file under",
    ),
    "hard link to a directory": (
        [directory("app/d"), hard_link("app/y", "app/d")],
        "not an earlier file under",
    ),
    "hard link to itself": ([hard_link("app/y", "app/y")], "not an earlier file under"),
    "hard link to app": (
        [directory("app/d"), hard_link("app/y", "app")],
        "not an earlier file under",
    ),
    "hard link to nothing": ([hard_link("app/y", "")], "is a hard link with an empty target"),
    "hard link through a link": (
        [link("app/d", "/etc"), hard_link("app/y", "app/d/passwd")],
        "not an earlier file under",
    ),
    "character device": (
        [file("app/x", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
        "app/x is a character device",
    ),
    "block device": ([file("app/x", type=tarfile.BLKTYPE)], "app/x is a block device"),
    "fifo": ([file("app/x", type=tarfile.FIFOTYPE)], "app/x is a FIFO"),
    "unknown": ([file("app/x", type=b"Z")], "of an unknown type"),
    "sparse, outside": (
        [file("app/x", pax_headers={"GNU.sparse.name": "../x", "GNU.sparse.size": "0"})],
        '../x has ".."',
    ),
    "sparse of another tar": ([file("app/x", type=b"S", pax_headers={"a": "b"})], "unknown type"),
    "sparse, large": (
        [file("app/x", pax_headers={"GNU.sparse.map": "", "GNU.sparse.size": f"{1 << 40}"})],
        "app/x makes the slug larger than the limit; raise",
    ),
    "deep": ([file("app/" + "d/" * 200 + "x")], "is nested in more than 100 directories"),
    "large": ([file("app/x", size=1 << 40)], "app/x makes the slug larger than the limit; raise"),
    "large elsewhere": ([file("x", size=1 << 40)], "x makes the slug larger than the limit"),
    "many": ([file(f"app/{n}") for n in range(1001)], "app/999 exceeds the limit of 1000 files"),
    "many elsewhere": ([file(f"etc/{n}") for n in range(1001)], "etc/1000 exceeds the limit of"),
    "many directories": ([file(f"app/{n}/" + "d/" * 50 + "x") for n in range(30)], "limit of 1000"),
    "a terminal's": ([file("/\x1b[2J\n")], "its member /\\x1b[2J\\n has an absolute name"),
    "NUL": (
        [file("app/x", pax_headers={"path": "app/\0x"})],
        "its member app/\\x00x has a NUL character in its name;",
    ),
    "NUL in a link": (
        [file("app/x", type=tarfile.SYMTYPE, pax_headers={"linkpath": "a\0b"})],
        "is a symbolic link to a\\x00b, which contains a NUL character",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_member_is_refused_by_its_name(
    case: str, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    makers, text = HOSTILE[case]
    members = [make(build) for make in makers]
    has_pax = any(info.pax_headers for info, _ in members)
    form = tarfile.PAX_FORMAT if has_pax else tarfile.GNU_FORMAT
    threads = threading.active_count()
    with pytest.raises(HostileSlug) as caught:
        unpacked(build.tar(*members, form=form))
    assert text in str(caught.value)
    assert threading.active_count() == threads


def test_nothing_is_written_through_a_link(
    build: ModuleType, unpacked: Callable[..., Path], tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members = build.link("app/d", str(outside)), build.member("app/d/x", b"harm")
    with pytest.raises(HostileSlug):
        unpacked(build.tar(*members))
    assert os.listdir(outside) == []


def test_nothing_is_linked_from_outside(
    build: ModuleType, unpacked: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    members = (
        build.link("app/d", str(tmp_path)),
        build.link("app/x", "app/d/secret", tarfile.LNKTYPE),
    )
    with pytest.raises(HostileSlug):
        unpacked(build.tar(*members))
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_a_name_that_the_file_system_cannot_have_is_told(
    build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    with pytest.raises(SlugError, match=r"cannot write its member app/ddd.*: File name too long"):
        unpacked(build.tar(build.member("app/" + "d" * 300, b"")))


@pytest.mark.parametrize("place", ["in a file", "elsewhere", "after the end"])
def test_a_bomb_is_refused_before_it_has_filled_the_disk(
    place: str, build: ModuleType, unpacked: Callable[..., Path], tmp_path: Path
) -> None:
    zeros = bytes(LIMITS.size)
    members = [build.member("app/x", b"x")]
    if place != "after the end":
        members.append(build.member("app/bomb" if place == "in a file" else "bomb", zeros))
    bomb = gzip.compress(build.tar(*members) + (zeros if place == "after the end" else b""), 1)
    assert len(bomb) < LIMITS.size / 100
    with pytest.raises(HostileSlug, match=r"larger than the limit|unpacks to more than"):
        unpacked(bomb)
    assert sum(path.stat().st_size for path in tmp_path.rglob("new/**/*")) < 1 << 20
