from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import subprocess
import sys
import tarfile
import threading

import pytest

from hsup.archives import compression
from hsup.archives.limits import Limits
from hsup.slugs import HostileSlug, SlugError
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
    # A block of bzip2 that was changed is known for it at its end only.
    with pytest.raises(SlugError, match="make or fetch it again"):
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
        ("app/a", ".."),
        ("app/a", "../../etc/passwd"),
        ("app/a", "b/../../../c"),
        ("app/a", "a"),
    ],
)
def test_links_are_kept_wherever_they_lead(at, target, build, unpacked):
    app = unpacked(build.tar(build.link(at, target)))
    assert os.readlink(app.parent / at) == target


def test_hard_links_are_kept(build, unpacked):
    files = build.member("./app/a/x", b"x"), build.link("./app/y", "./app/a/x", tarfile.LNKTYPE)
    app = unpacked(build.tar(*files))
    assert (app / "y").samefile(app / "a/x")


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755, 0o1755])
def test_set_id_bits_are_not_kept(mode, build, unpacked):
    app = unpacked(
        build.tar(build.member("app/x", b"", mode=mode), build.member("app/d", mode=mode))
    )
    assert (app / "x").stat().st_mode & 0o7777 == 0o755
    assert (app / "d").stat().st_mode & 0o7777 == 0o755


#: Members by one name: what is there in the end, as of GNU tar.
DUPLICATES = {
    "files": ([("app/x", b"old"), ("./app//x", b"new")], b"new"),
    "a link, a file": ([("app/x", "/tmp/x"), ("app/x", b"new")], b"new"),
    "a file, a link": ([("app/x", b"old"), ("app/x", "y")], "y"),
    "links": ([("app/x", "y"), ("app/x", "z")], "z"),
    "a file, a folder": ([("app/x", b"old"), ("app/x", None)], None),
    "a link, a folder": ([("app/x", "/tmp"), ("app/x", None)], None),
    "a folder, a file": ([("app/x", None), ("app/x", b"new")], b"new"),
    "a folder, a link": ([("app/x", None), ("app/x", "y")], "y"),
    "folders": ([("app/x", None), ("app/x", None)], None),
}


@pytest.mark.parametrize("case", DUPLICATES)
def test_of_a_name_twice_the_last_member_wins(case, build, unpacked):
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


def test_what_a_hard_link_leads_to_survives_a_later_member(build, unpacked):
    app = unpacked(
        build.tar(
            build.member("app/x", b"old"),
            build.link("app/y", "app/x", tarfile.LNKTYPE),
            build.member("app/x", b"new"),
        )
    )
    assert ((app / "x").read_bytes(), (app / "y").read_bytes()) == (b"new", b"old")


def test_what_is_replaced_does_not_count_for_the_limit(build, unpacked):
    once = build.member("app/x", bytes(20_000))
    with pytest.raises(HostileSlug, match="unpacks to more than"):
        unpacked(build.tar(*[once] * 4), limits=Limits(size=70_000, files=10))


def test_a_hard_link_to_itself_changes_nothing(build, unpacked):
    itself = build.link("app/x", "./app/x", tarfile.LNKTYPE)
    app = unpacked(build.tar(build.member("app/x", b"x"), itself))
    assert (app / "x").read_bytes() == b"x"


def test_a_hard_link_replaces_what_is_there(build, unpacked):
    files = build.member("app/x", b"x"), build.member("app/y", b"y")
    app = unpacked(build.tar(*files, build.link("app/y", "app/x", tarfile.LNKTYPE)))
    assert (app / "y").samefile(app / "x")
    assert (app / "y").read_bytes() == b"x"


def test_a_hard_link_to_a_link_is_that_link(build, unpacked):
    app = unpacked(
        build.tar(build.link("app/a/x", "../../y"), build.link("app/z", "app/a/x", tarfile.LNKTYPE))
    )
    assert os.readlink(app / "z") == "../../y"


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mtime", [-1, -86400 * 365, -(1 << 31)])
def test_times_before_1970_are_kept(form, mtime, build, unpacked):
    file, folder = build.member("app/x", b"", mtime=mtime), build.member("app/d", mtime=mtime)
    app = unpacked(build.tar(file, folder, form=form))
    assert (app / "x").stat().st_mtime == mtime
    assert (app / "d").stat().st_mtime == mtime


def test_a_fraction_before_1970_is_rounded_down_as_it_is_after(build, unpacked):
    files = [
        build.member("app/x", b"", pax_headers={"mtime": "-1.25"}),
        build.member("app/y", b"", pax_headers={"mtime": "-1.00"}),
    ]
    app = unpacked(build.tar(*files, form=tarfile.PAX_FORMAT))
    assert ((app / "x").stat().st_mtime, (app / "y").stat().st_mtime) == (-2, -1)


@pytest.mark.parametrize("mtime", [b"\x80" + b"\xff" * 11, b"\xff" + bytes(11)])
def test_times_that_no_file_system_has_are_its_nearest(mtime, build, unpacked):
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
def test_sizes_that_are_none_are_refused(size, build, unpacked):
    archive = bytearray(build.tar(build.member("app/x", b"x")))
    archive[124 : 124 + len(size)] = size
    fix_checksum(archive)
    with pytest.raises(SlugError, match="a number in a header of the archive is damaged"):
        unpacked(bytes(archive))


def test_a_size_of_80_bits_is_over_the_limit(build, unpacked):
    archive = bytearray(build.tar(build.member("app/x", b"x")))
    archive[124:136] = b"\x80\0" + b"\xff" * 10
    fix_checksum(archive)
    with pytest.raises(HostileSlug, match="larger than the limit"):
        unpacked(bytes(archive))


def test_checksums_of_signed_bytes_are_taken(build, unpacked):
    archive = bytearray(build.tar(build.member("app/\udcff\udcfe", b"x")))
    archive[148:156] = b" " * 8
    signed = sum(byte - 256 * (byte > 127) for byte in archive[:512])
    archive[148:156] = b"%06o\0 " % signed
    assert os.listdir(os.fsencode(unpacked(bytes(archive)))) == [b"\xff\xfe"]


def fix_checksum(archive):
    archive[148:156] = b" " * 8
    archive[148:156] = b"%06o\0 " % sum(archive[:512])


def test_a_folder_of_an_incremental_archive_is_a_folder(build, unpacked):
    names = b"Yx\0Ygone\0\0"
    dumped = build.member("app/d/", names, type=b"D", mode=0o700)
    app = unpacked(build.tar(dumped, build.member("app/d/x", b"x")))
    assert (app / "d").stat().st_mode & 0o777 == 0o700
    assert (app / "d/x").read_bytes() == b"x"


def test_the_label_of_an_archive_is_left_out(build, unpacked):
    label = build.member("app/backup", b"", type=b"V")
    assert os.listdir(unpacked(build.tar(label, build.member("app/x", b"")))) == ["x"]


SPARSE_FORMATS = [
    "--format=gnu",
    "--sparse-version=0.0",
    "--sparse-version=0.1",
    "--sparse-version=1.0",
]


@pytest.mark.parametrize("form", SPARSE_FORMATS)
@pytest.mark.parametrize("parts", [0, 1, 3, 4, 5, 60], ids="{} parts".format)
def test_sparse_files_keep_content_and_holes(form, parts, unpacked, tmp_path):
    """The header of GNU has four parts, and each block after it 21."""
    path = tmp_path / "tree/app/sparse"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for part in range(parts):
            file.seek((part << 16) + 4096)
            file.write(b"%d" % part * 2000)
        file.truncate((parts << 16) + 8192)
    (path.parent / "after").write_bytes(b"after")
    options = [form] if form == "--format=gnu" else ["--format=pax", form]
    command = ["tar", "--sparse", *options, "-C", path.parents[1], "-c", "app/sparse", "app/after"]
    app = unpacked(subprocess.run(command, check=True, capture_output=True).stdout)
    assert (app / "sparse").read_bytes() == path.read_bytes()
    assert (app / "after").read_bytes() == b"after"
    assert (app / "sparse").stat().st_blocks <= path.stat().st_blocks


def sparse(build, content, headers, name="app/x"):
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
def test_a_map_that_is_damaged_is_told(content, headers, build, unpacked):
    with pytest.raises(
        SlugError, match=r"(the map of a sparse file|an extended header) .* damaged"
    ):
        unpacked(sparse(build, content, headers))


def test_a_map_that_would_fill_memory_is_refused(build, unpacked):
    content = b"1000000000\n" + b"0\n" * (1 << 20)
    with pytest.raises(
        HostileSlug, match="map of a sparse file in the archive has over 1048576 by"
    ):
        unpacked(sparse(build, content, NEW))


def test_blocks_of_a_map_without_end_are_refused(build, unpacked):
    header = build.member("app/x", b"", type=tarfile.GNUTYPE_SPARSE)[0]
    archive = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    archive[482] = 1
    fix_checksum(archive)
    more = bytes(504) + b"\1" + bytes(7)
    with pytest.raises(HostileSlug, match="the map of a sparse file"):
        unpacked(bytes(archive) + more * 3000)


def test_headers_without_end_before_one_member_are_refused(build, unpacked):
    header = build.member("x", b"7 a=bc\n", type=tarfile.XHDTYPE)
    with pytest.raises(HostileSlug, match="the headers of one member have over"):
        unpacked(build.tar(*[header] * 3000, build.member("app/x", b"")))


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
    "a folder, a link, through it": (
        [folder("app/d"), link("app/d", "/tmp"), file("app/d/x")],
        "app/d/x is below app/d, which is not a directory",
    ),
    "below a file": ([file("app/x"), file("app/x/y")], "app/x/y is below app/x, which is not"),
    "a full folder, a file": (
        [file("app/d/x"), file("app/d")],
        "app/d replaces a directory that is not empty",
    ),
    "a full folder, a link": ([file("app/d/x"), link("app/d", "/tmp")], "app/d replaces a"),
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
    "sparse, outside": (
        [file("app/x", pax_headers={"GNU.sparse.name": "../x", "GNU.sparse.size": "0"})],
        '../x has ".."',
    ),
    "sparse of another tar": ([file("app/x", type=b"S", pax_headers={"a": "b"})], "unknown kind"),
    "sparse, large": (
        [file("app/x", pax_headers={"GNU.sparse.map": "", "GNU.sparse.size": f"{1 << 40}"})],
        "app/x makes the slug larger than the limit; if",
    ),
    "deep": ([file("app/" + "d/" * 200 + "x")], "more than 100 directories"),
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
        "is a symbolic link with NUL in it, to a\\x00b",
    ),
}


@pytest.mark.parametrize("content", [b"9" * 5000, b"9" * 30 + b" path=x\n", b"\xb2 path=x\n"])
def test_the_length_of_a_record_is_bounded(content, build, unpacked):
    header = build.member("header", content, type=tarfile.XHDTYPE)
    with pytest.raises(SlugError, match="an extended header of the archive is damaged"):
        unpacked(build.tar(header, build.member("app/x", b"")))


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
        (b"", "it is an empty file, not a tar archive"),
        (b"web: ./serve\n", "ends too early"),
        (b"web: ./serve\n" * 100, "it is not a tar archive"),
        (b"PK\3\4" + bytes(600), "it is a zip archive, not a tar archive; make the archive with"),
        (gzip.compress(b"PK\3\4" + bytes(600), mtime=0), "it is a zip archive"),
        (b"070701" + bytes(600), "it is a cpio archive"),
        (gzip.compress(b"\xc7\x71" + bytes(600), mtime=0), "it is a cpio archive"),
        (b"\n<!DOCTYPE html><p>Not found", "it is an HTML page"),
        (b"\xef\xbb\xbf<HTML>" + b" " * 600, "it is an HTML page"),
        (b'<?xml version="1.0"?><Error>', "it is an XML document"),
        (b'{"id": "not_found"}', "it is a JSON document"),
        (gzip.compress(gzip.compress(b"", mtime=0), mtime=0), "it is a file compressed twice"),
        (b"LZIP\1" + bytes(600), "it is a file compressed with lzip"),
    ],
)
def test_what_is_no_archive_is_called_what_it_is(content, text, unpacked):
    with pytest.raises(SlugError, match=re.escape(text)):
        unpacked(content)


@pytest.mark.parametrize("start", [b"PK\3\4", b"{", b"<html", b"070701"])
def test_an_archive_may_begin_as_something_else_does(start, build, unpacked):
    name = os.fsdecode(start)
    app = unpacked(build.tar(build.member(name, b""), build.member("app/x", b"")))
    assert os.listdir(app) == ["x"]


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
