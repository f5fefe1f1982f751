from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from collections.abc import Container
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from hsup.archives.limits import Limits
from hsup.archives.progress import Advance
from hsup.slugs import SlugError
from hsup.slugs.unpack import unpack
from tests.archives.making import Member

LIMITS = Limits(size=1 << 20, files=60)

#: Few parts, so that names clash, lead through one another, and out.
PARTS = st.sampled_from(["app", "a", "b", "..", ".", "", "c\n", "\udce9"])

NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join)

UNDER_APP = st.one_of(NAMES, NAMES.map("./app/{}".format), NAMES.map("app/{}".format))

KINDS = [
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
    tarfile.GNUTYPE_SPARSE,
    b"D",
]

COMMON = st.sampled_from([*KINDS, *KINDS[:4] * 5])


@st.composite
def any_member(draw: st.DrawFn) -> Member:
    info = tarfile.TarInfo(draw(UNDER_APP))
    info.type = draw(COMMON)
    info.linkname = draw(st.one_of(UNDER_APP, st.just("/etc/passwd"), st.just("{outside}")))
    info.mode = draw(st.sampled_from([0o644, 0o755, 0, 0o444, 0o4755, 0o1777]))
    content = draw(st.binary(max_size=600)) if info.isreg() else b""
    info.size = len(content)
    return info, content


FORMS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def unpack_into(directory: Path, content: bytes) -> bool:
    """Unpack, and tell whether the archive was accepted; harm would show outside `new`."""
    (directory / "outside").mkdir()
    (directory / "outside" / "secret").write_text("secret")
    (directory / "new").mkdir()
    (directory / "slug").write_bytes(content)
    try:
        unpack(str(directory / "slug"), str(directory / "new"), LIMITS, no_progress, "slug")
    except SlugError:
        return False
    return True


def no_progress(_label: str, _length: int) -> AbstractContextManager[Advance]:
    class Silent:
        def __enter__(self) -> Advance:
            return lambda _: None

        def __exit__(self, *_: object) -> None:
            pass

    return Silent()


def surroundings(directory: Path) -> tuple[object, ...]:
    """Return everything outside the new directory, with content and links."""
    secret = directory / "outside" / "secret"
    return (
        sorted(os.listdir(directory)),
        os.listdir(directory / "outside"),
        secret.read_text(),
        secret.stat().st_nlink,
    )


def assert_harmless(directory: Path) -> None:
    for top, directories, files in os.walk(os.fsencode(directory / "new")):
        for name in directories + files:
            found = os.lstat(os.path.join(top, name))
            assert stat.S_IFMT(found.st_mode) in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}
            assert not found.st_mode & 0o7000 or stat.S_ISLNK(found.st_mode)
            assert found.st_uid == os.geteuid()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(any_member(), max_size=8), FORMS)
def test_no_archive_changes_anything_outside(
    build: ModuleType, parts: list[Member], form: int
) -> None:
    with TemporaryDirectory(prefix="hsup-test-") as name:
        directory = Path(name)
        for info, _ in parts:
            info.linkname = info.linkname.format(outside=f"{directory}/outside")
        unpack_into(directory, build.tar(*parts, form=form))
        assert surroundings(directory) == (["new", "outside", "slug"], ["secret"], "secret", 1)
        assert os.listdir(directory / "new") in ([], ["app"])
        assert_harmless(directory)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), FORMS)
def test_no_damage_does_more_than_being_refused(
    build: ModuleType, data: st.DataObject, form: int
) -> None:
    content = bytearray(
        build.tar(
            build.member("app/" + "d" * 150 + "/x", b"x" * 700),
            build.link("app/y", "/app/" + "z" * 150),
            form=form,
        )
    )
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    fix_checksums(content)
    with TemporaryDirectory(prefix="hsup-test-") as name:
        directory = Path(name)
        unpack_into(directory, bytes(content))
        assert surroundings(directory) == (["new", "outside", "slug"], ["secret"], "secret", 1)
        assert_harmless(directory)


def fix_checksums(content: bytearray) -> None:
    """Let changed headers pass their first check."""
    for at in range(0, len(content) - 511, 512):
        header = content[at : at + 512]
        if header[257:262] == b"ustar":
            header[148:156] = b" " * 8
            content[at + 148 : at + 156] = b"%06o\0 " % sum(header)


GOOD_PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(lambda text: text not in {".", ".."} and len(text.encode()) < 200)

TREES = st.dictionaries(
    st.lists(GOOD_PARTS, min_size=1, max_size=4).map("/".join), st.binary(max_size=1500), max_size=6
)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(TREES, FORMS)
def test_what_tarfile_writes_is_read_to_the_letter(
    build: ModuleType, tree: dict[str, bytes], form: int
) -> None:
    # No file where another one needs a directory.
    tree = {
        name: content
        for name, content in tree.items()
        if not any(other.startswith(f"{name}/") for other in tree)
    }
    archive = build.tar(*(build.member(f"./app/{n}", c) for n, c in tree.items()), form=form)
    with TemporaryDirectory(prefix="hsup-test-") as name:
        directory = Path(name)
        assert unpack_into(directory, archive) == bool(tree)
        for path, content in tree.items():
            assert (directory / "new" / "app" / path).read_bytes() == content


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_damaged_archive_is_whole_without_damage(
    form: int, build: ModuleType, tmp_path: Path
) -> None:
    archive = build.tar(build.member("app/" + "d" * 150 + "/x", b"x"), form=form)
    assert unpack_into(tmp_path, archive)


#: What GNU tar takes too, and follows nowhere while it unpacks: no `..`, no link to a directory.
PLAIN_NAMES = st.lists(st.sampled_from(["a", "b", "./a"]), min_size=1, max_size=3).map(
    lambda parts: "./app/" + "/".join(parts)
)

PLAIN_KINDS = [
    tarfile.REGTYPE,
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CONTTYPE,
    b"D",
    b"V",
]


@st.composite
def plain_member(draw: st.DrawFn) -> Member:
    info = tarfile.TarInfo(draw(PLAIN_NAMES))
    info.type = draw(st.sampled_from(PLAIN_KINDS))
    info.linkname = "nowhere" if info.issym() else draw(PLAIN_NAMES)
    info.mode = draw(st.sampled_from([0o644, 0o755, 0o600, 0o4755, 0o1777, 0o2750]))
    info.mtime = draw(st.one_of(st.integers(-(1 << 31), 1 << 32), st.just(1.5)))
    content = draw(st.binary(max_size=600)) if info.isreg() or info.type == b"D" else b""
    info.size = len(content)
    return info, content


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(plain_member(), min_size=1, max_size=8), FORMS)
def test_the_result_is_what_gnu_tar_makes_of_it(
    build: ModuleType, parts: list[Member], form: int
) -> None:
    archive = build.tar(*parts, form=form)
    with TemporaryDirectory(prefix="hsup-test-") as name:
        directory = Path(name)
        (directory / "tar").mkdir()
        accepted = unpack_into(directory, archive)
        told = subprocess.run(
            ["tar", "-xf-", "-C", directory / "tar", "--no-same-owner", "--warning=no-timestamp"],
            input=archive,
            capture_output=True,
            check=False,
        )
        note([(info.name, info.type, info.linkname, info.mode, info.size) for info, _ in parts])
        note(told.stderr)
        if accepted:
            # GNU tar gives what replaces a directory the directory's mode and time in the end.
            names = [info.name.replace("/./", "/").removeprefix("./app/") for info, _ in parts]
            once = {name for name in names if names.count(name) == 1}
            ours, theirs = (found_in(directory / one / "app", once) for one in ("new", "tar"))
            assert ours == theirs
        elif os.path.lexists(directory / "tar/app") and os.listdir(directory / "tar/app"):
            assert told.returncode, "GNU tar has unpacked it"


def found_in(top: Path, once: Container[str]) -> dict[str, tuple[object, ...]]:
    """Return what must be the same in two trees; hsup may give itself rights to directories."""
    found: dict[str, tuple[object, ...]] = {}
    inodes: dict[int, str] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(top))
        first = inodes.setdefault(status.st_ino, name)
        mode = status.st_mode & 0o777
        if path.is_symlink():
            found[name] = ("link", os.readlink(path), first)
        elif path.is_dir():
            found[name] = ("directory", (mode | 0o700) if name in once else None)
        else:
            attributes = (mode, int(status.st_mtime // 1)) if first in once else None
            found[name] = ("file", attributes, path.read_bytes(), first)
    return found


def test_what_was_said_of_a_label_does_not_hold_for_the_member_after_it(
    build: ModuleType, tmp_path: Path
) -> None:
    label = build.member("./app/label", b"", type=b"V", mtime=-1)
    file = build.member("./app/file", b"x", mtime=0)
    assert unpack_into(tmp_path, build.tar(label, file, form=tarfile.PAX_FORMAT))
    assert (tmp_path / "new/app/file").stat().st_mtime == 0
