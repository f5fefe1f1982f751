from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
import tarfile
import threading

import pytest

from hsup.slugs import HostileSlug, SlugError, compression
from hsup.slugs.limits import Limits
from hsup.slugs.unpack import unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMITS = Limits(size=64 << 20, files=1000)


def zstd_as_its_tool(content):
    """Compress with a checksum, which is the default of the program only."""
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


@pytest.fixture
def unpacked(tmp_path, silent):
    """Return what unpacks an archive, and returns the folder with what was under ./app/."""

    def do(content, limits=LIMITS):
        archive, folder = tmp_path / "slug", tmp_path / "new"
        archive.write_bytes(content)
        folder.mkdir()
        unpack(str(archive), str(folder), limits, silent, archive.name)
        return folder / "app"

    return do


@pytest.mark.parametrize("name", ["./app/bin/serve", "app/bin/serve", "./app//bin/./serve"])
def test_a_file_keeps_content_permissions_and_time(name, build, unpacked):
    app = unpacked(build.tar(build.member(name, b"#!/bin/sh\n", mode=0o750, mtime=1_500_000_000)))
    found = (app / "bin/serve").stat()
    assert (app / "bin/serve").read_bytes() == b"#!/bin/sh\n"
    assert (found.st_mode & 0o7777, found.st_mtime) == (0o750, 1_500_000_000)
    assert found.st_uid == os.geteuid()


def test_modes_do_not_depend_on_the_umask(build, unpacked):
    before = os.umask(0o077)
    try:
        app = unpacked(build.tar(build.member("app/lib/x", b"", mode=0o666)))
    finally:
        os.umask(before)
    assert (app / "lib/x").stat().st_mode & 0o777 == 0o666
    assert (app / "lib").stat().st_mode & 0o777 == 0o755


def test_folders_keep_permissions_and_time_and_stay_removable(build, unpacked):
    folder = build.member("app/read-only", None, mode=0o2555, mtime=1_500_000_000)
    app = unpacked(build.tar(folder, build.member("app/read-only/x", b"")))
    found = (app / "read-only").stat()
    assert (found.st_mode & 0o7777, found.st_mtime) == (0o755, 1_500_000_000)


def test_what_is_not_under_app_is_left_out(build, unpacked):
    outside = build.member("./etc/passwd", b"root"), build.member("apple", b"")
    app = unpacked(build.tar(*outside, build.member("./app/x", b"x")))
    assert os.listdir(app.parent) == ["app"]
    assert os.listdir(app) == ["x"]


@pytest.mark.parametrize(
    "members",
    [[], [("./app", None)], [("./etc/x", b"")]],
    ids=["no member", "the folder alone", "others only"],
)
def test_a_slug_with_nothing_under_app_is_told(members, build, unpacked):
    with pytest.raises(SlugError, match=r"nothing under ./app/; make the archive with: tar"):
        unpacked(build.tar(*(build.member(*one) for one in members)))


def test_an_empty_folder_under_app_is_something(build, unpacked):
    assert os.listdir(unpacked(build.tar(build.member("app/tmp/pids")))) == ["tmp"]


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
def test_every_compression_is_known_by_its_first_bytes(compress, build, unpacked):
    content = os.urandom(3 << 19)
    app = unpacked(compress(build.tar(build.member("app/x", content))))
    assert (app / "x").read_bytes() == content


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd_as_its_tool])
@pytest.mark.parametrize("damage", ["shorter", "changed"])
def test_damaged_data_is_told(compress, damage, build, unpacked):
    whole = bytearray(compress(build.tar(build.member("app/x", os.urandom(100_000)))))
    if damage == "shorter":
        del whole[-20_000:]
    else:
        whole[50_000] ^= 1
    with pytest.raises(SlugError, match="damaged"):
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
def test_streams_of_next_to_nothing_are_refused(start, stream, unpacked):
    with pytest.raises(HostileSlug, match="in too many streams"):
        unpacked(start + stream * ((1 << 20) // len(stream)))


def test_many_streams_that_have_something_are_taken(build, unpacked):
    archive = build.tar(build.member("app/x", bytes(3 << 20)))
    blocks = [archive[at : at + 1024] for at in range(0, len(archive), 1024)]
    app = unpacked(b"".join(gzip.compress(block, 1) for block in blocks))
    assert (app / "x").stat().st_size == 3 << 20


def test_the_end_of_a_stream_does_not_cost_all_that_follows(build, unpacked, monkeypatch):
    given = []

    class Counting(compression.Gzip):
        def decompress(self, data, max_length):
            given.append(len(data))
            return super().decompress(data, max_length)

    monkeypatch.setattr(compression, "Gzip", Counting)
    archive = build.tar(build.member("app/x", os.urandom(500_000)))
    blocks = [archive[at : at + 1000] for at in range(0, len(archive), 1000)]
    packed = b"".join(map(gzip.compress, blocks))
    unpacked(packed)
    assert sum(given) < len(packed) + len(blocks) * 4096


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links_are_kept(form, build, unpacked):
    long = "/".join(["folder-with-a-name"] * 12)
    file = build.member(f"./app/{long}/x", b"x")
    links = build.link(f"./app/{long}/y", f"/app/{long}/x"), build.link("./app/z", f"{long}/x")
    app = unpacked(build.tar(file, *links, form=form))
    assert (app / long / "x").read_bytes() == b"x"
    assert os.readlink(app / long / "y") == f"/app/{long}/x"
    assert os.readlink(app / "z") == f"{long}/x"


def test_times_with_a_fraction_and_large_sizes_are_read(build, unpacked):
    fields = {"mtime": 1_500_000_000.75, "pax_headers": {"comment": "ü", "SCHILY.xattr.a": "=\n"}}
    app = unpacked(build.tar(build.member("app/x", b"x", **fields), form=tarfile.PAX_FORMAT))
    assert (app / "x").stat().st_mtime == 1_500_000_000


def test_names_are_bytes(build, unpacked):
    names = {b"latin-\xe9", b"new\nline", "ü".encode(), b" "}
    files = [build.member(os.fsdecode(b"app/" + name), b"") for name in names]
    app = unpacked(build.tar(*files))
    assert set(os.listdir(os.fsencode(app))) == names


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
    ],
)
def test_links_within_the_dyno_are_kept(at, target, build, unpacked):
    app = unpacked(build.tar(build.link(at, target)))
    assert os.readlink(app.parent / at) == target


def test_hard_links_are_kept(build, unpacked):
    files = build.member("./app/a/x", b"x"), build.link("./app/y", "./app/a/x", tarfile.LNKTYPE)
    app = unpacked(build.tar(*files))
    assert (app / "y").samefile(app / "a/x")


def file(name, **fields):
    return lambda build: build.member(name, b"", **fields)


def folder(name):
    return lambda build: build.member(name)


def link(name, target):
    return lambda build: build.link(name, target)


def hard_link(name, target):
    return lambda build: build.link(name, target, tarfile.LNKTYPE)


#: Members of an archive, and what is said of the one that is refused.
HOSTILE = {
    "dots": ([file("app/../../x")], 'app/../../x has ".."'),
    "dots outside of app": ([file("../x")], "../x has"),
    "dots at the end": ([folder("app/..")], "app/../ has"),
    "absolute": ([file("/app/x")], "/app/x has an absolute name"),
    "two slashes": ([file("//app/x")], "absolute name"),
    "link out": ([link("app/x", "../../etc/passwd")], "app/x is a link out of ./app/, to ../../"),
    "link out by a turn": ([link("app/a/x", "b/../../../c")], "a link out of"),
    "link to above": ([link("app/x", "..")], "a link out of"),
    "link to nothing": ([link("app/x", "")], "a link to no name"),
    "app is a link": ([link("app", "/etc")], "app must be a folder"),
    "app is a link, used": ([link("./app", "/etc"), file("app/x")], "app must be a folder"),
    "app is a file": ([file("app")], "app must be a folder"),
    "through a link": (
        [link("app/d", "/tmp"), file("app/d/x")],
        "app/d/x comes twice, or is below",
    ),
    "a folder, a link": ([folder("app/d"), link("app/d", "/tmp")], "app/d comes twice"),
    "below a file": ([file("app/x"), file("app/x/y")], "below what is no folder"),
    "a link, a file": ([link("app/x", "/tmp/x"), file("app/x")], "app/x comes twice"),
    "a link, a folder": ([link("app/d", "/tmp"), folder("app/d")], "app/d/ comes twice"),
    "twice": ([file("app/x"), file("./app/x")], "app/x comes twice"),
    "a folder, a file": ([folder("app/d"), file("app/d")], "app/d comes twice"),
    "hard link to a link that leads out from there": (
        [link("app/a/b/x", "../../y"), hard_link("app/z", "app/a/b/x")],
        "app/z is a link out of ./app/, to ../../y",
    ),
    "hard link out": ([hard_link("app/x", "../etc/passwd")], 'app/x has ".."'),
    "hard link, absolute": ([hard_link("app/x", "/etc/passwd")], "app/x has an absolute name"),
    "hard link to others": ([file("etc/x"), hard_link("app/x", "etc/x")], "a hard link to etc/x"),
    "hard link to later": ([hard_link("app/y", "app/x"), file("app/x")], "no file under"),
    "hard link to a folder": ([folder("app/d"), hard_link("app/y", "app/d")], "no file under"),
    "hard link to itself": ([hard_link("app/y", "app/y")], "no file under"),
    "hard link to app": ([folder("app/d"), hard_link("app/y", "app")], "no file under"),
    "hard link to nothing": ([hard_link("app/y", "")], "no file under"),
    "hard link through a link": (
        [link("app/d", "/etc"), hard_link("app/y", "app/d/passwd")],
        "no file under",
    ),
    "character device": (
        [file("app/x", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
        "app/x is a character device",
    ),
    "block device": ([file("app/x", type=tarfile.BLKTYPE)], "app/x is a block device"),
    "fifo": ([file("app/x", type=tarfile.FIFOTYPE)], "app/x is a FIFO"),
    "unknown": ([file("app/x", type=b"Z")], "of an unknown kind"),
    "sparse": ([file("app/x", type=tarfile.GNUTYPE_SPARSE)], "app/x is a sparse file"),
    "sparse of pax": ([file("app/x", pax_headers={"GNU.sparse.name": "../x"})], "a sparse file"),
    "set-uid": ([file("app/x", mode=0o4755)], "app/x has a set-id bit, mode 4755"),
    "set-gid": ([file("app/x", mode=0o2755)], "app/x has a set-id bit, mode 2755"),
    "deep": ([file("app/" + "d/" * 200 + "x")], "more than 100 folders"),
    "large": ([file("app/x", size=1 << 40)], "app/x makes the slug larger than the limit; if"),
    "large elsewhere": ([file("x", size=1 << 40)], "x makes the slug larger than the limit"),
    "many": ([file(f"app/{n}") for n in range(1001)], "app/999 is one more than the 1000 files"),
    "many elsewhere": ([file(f"etc/{n}") for n in range(1001)], "etc/1000 is one more than"),
    "many folders": ([file(f"app/{n}/" + "d/" * 50 + "x") for n in range(30)], "than the 1000"),
    "a terminal's": ([file("/\x1b[2J\n")], "its member /\\x1b[2J\\n has an absolute name"),
    "NUL": (
        [file("app/x", pax_headers={"path": "app/\0x"})],
        'has ".." or NUL in a name, app/\\x00x',
    ),
    "NUL in a link": (
        [file("app/x", type=tarfile.SYMTYPE, pax_headers={"linkpath": "a\0b"})],
        "a link to no name, a\\x00b",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_member_is_refused_by_its_name(case, build, unpacked):
    makers, text = HOSTILE[case]
    members = [make(build) for make in makers]
    has_pax = any(info.pax_headers for info, _ in members)
    form = tarfile.PAX_FORMAT if has_pax else tarfile.GNU_FORMAT
    threads = threading.active_count()
    with pytest.raises(HostileSlug) as caught:
        unpacked(build.tar(*members, form=form))
    assert text in str(caught.value)
    assert threading.active_count() == threads


def test_nothing_is_written_through_a_link(build, unpacked, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    members = build.link("app/d", str(outside)), build.member("app/d/x", b"harm")
    with pytest.raises(HostileSlug):
        unpacked(build.tar(*members))
    assert os.listdir(outside) == []


def test_nothing_is_linked_from_outside(build, unpacked, tmp_path):
    (tmp_path / "secret").write_text("secret")
    members = (
        build.link("app/d", str(tmp_path)),
        build.link("app/x", "app/d/secret", tarfile.LNKTYPE),
    )
    with pytest.raises(HostileSlug):
        unpacked(build.tar(*members))
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_a_name_that_the_file_system_cannot_have_is_told(build, unpacked):
    with pytest.raises(SlugError, match=r"cannot write its member app/ddd.*: File name too long"):
        unpacked(build.tar(build.member("app/" + "d" * 300, b"")))


@pytest.mark.parametrize("place", ["in a file", "elsewhere", "after the end"])
def test_a_bomb_is_refused_before_it_has_filled_the_disk(place, build, unpacked, tmp_path):
    zeros = bytes(LIMITS.size)
    members = [build.member("app/x", b"x")]
    if place != "after the end":
        members.append(build.member("app/bomb" if place == "in a file" else "bomb", zeros))
    bomb = gzip.compress(build.tar(*members) + (zeros if place == "after the end" else b""), 1)
    assert len(bomb) < LIMITS.size / 100
    with pytest.raises(HostileSlug, match=r"larger than the limit|unpacks to more than"):
        unpacked(bomb)
    assert sum(path.stat().st_size for path in tmp_path.rglob("new/**/*")) < 1 << 20


def test_a_header_that_would_fill_memory_is_refused(build, unpacked):
    headers = {"comment": "x" * (2 << 20)}
    with pytest.raises(HostileSlug, match="a header of the archive has 2097"):
        unpacked(
            build.tar(build.member("app/x", b"", pax_headers=headers), form=tarfile.PAX_FORMAT)
        )


def test_a_window_that_would_fill_memory_is_refused(build, unpacked):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 300 << 20, "mf": lzma.MF_HC3}]
    archive = build.tar(build.member("app/x", b"x"))
    with pytest.raises(SlugError, match="Memory usage limit"):
        unpacked(lzma.compress(archive, filters=filters))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "ends too early"),
        (b"web: ./serve\n", "ends too early"),
        (b"web: ./serve\n" * 100, "it is no tar archive"),
        (b"PK\3\4" + bytes(600), "it is no tar archive"),
    ],
)
def test_what_is_no_archive_is_told(content, text, unpacked):
    with pytest.raises(SlugError, match=text):
        unpacked(content)


@pytest.mark.parametrize("at", [100, 700, 1100, 1600])
def test_an_archive_that_was_cut_off_is_told(at, build, unpacked):
    with pytest.raises(SlugError, match="ends too early"):
        unpacked(build.tar(build.member("app/x", b"x" * 600))[:at])


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
def test_an_extended_header_that_is_damaged_is_told(record, build, unpacked):
    header = build.member("x", record, type=tarfile.XHDTYPE)
    with pytest.raises(SlugError, match="an extended header of the archive is damaged"):
        unpacked(build.tar(header, build.member("app/x", b"")))


def test_names_of_ustar_have_two_parts(build, unpacked):
    name = "app/" + "d" * 90 + "/" + "f" * 90
    app = unpacked(build.tar(build.member(name, b"x"), form=tarfile.USTAR_FORMAT))
    assert (app.parent / name).read_bytes() == b"x"
