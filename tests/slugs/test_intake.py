from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

import pytest

from hsup.archives.digest import file_key
from hsup.archives.progress import Advance, Progress
from hsup.locks import EXCLUSIVE_NOW, lock, unlock
from hsup.model import Slug
from hsup.slugs import ChecksumError, SlugError, SlugStore, Unpacked
from tests.archives.server import Server


def test_an_archive_that_has_not_changed_is_not_read_again(store: SlugStore, archive: Path) -> None:
    store.unpack(Slug(location=str(archive))).close()
    before = archive.stat()
    while os.stat(archive).st_ctime_ns + 200_000_000 > _now_of(archive.parent):
        pass
    store.unpack(Slug(location=str(archive))).close()
    opened = []
    sys.addaudithook(lambda event, given: opened.append(given[0]) if event == "open" else None)
    store.unpack(Slug(location=str(archive))).close()
    assert opened
    assert str(archive) not in opened
    assert archive.stat().st_mtime_ns == before.st_mtime_ns


def _now_of(directory: Path) -> int:
    """Return the time that the file system of a directory gives to new files."""
    probe = directory / "probe"
    probe.touch()
    return probe.stat().st_ctime_ns


def test_another_archive_than_the_release_was_made_with_is_error_r17(
    store: SlugStore, archive: Path, build: ModuleType, left_over: Callable[[], list[str]]
) -> None:
    wrong = "0" * 64
    with pytest.raises(ChecksumError) as caught:
        store.unpack(Slug(location=str(archive), checksum=f"SHA256:{wrong}"))
    actual = build.sha256(archive.read_bytes())
    assert (
        "Error R17 (Checksum error) -> Checksum does match expected value. "
        f"Expected: SHA256:{wrong} Actual: SHA256:{actual}"
    ) in str(caught.value)
    assert left_over() == []


@pytest.fixture
def mapped(build: ModuleType) -> Iterator[tuple[Path, mmap.mmap]]:
    """Return a file that its author can change without a trace: its times stay the same."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".tar") as file:
        file.write(build.tar(build.member("app/Procfile", b"web: ./serve\n")))
        file.flush()
        with mmap.mmap(file.fileno(), 0) as mapping:
            mapping[:] = bytes(mapping)  # the first write of a page counts as a change
            yield Path(file.name), mapping


def replacing(mapping: mmap.mmap) -> Progress:
    """Return a progress in which the author changes the file after hsup has opened it."""

    @contextmanager
    def progress(*_: object) -> Iterator[Advance]:
        at = mapping.find(b"./serve")
        mapping[at : at + 7] = b"./steal"
        yield lambda _: None

    return progress


@pytest.mark.parametrize("has_checksum", [False, True])
def test_what_its_author_changes_while_it_is_read_is_refused(
    has_checksum: bool,
    store: SlugStore,
    mapped: tuple[Path, mmap.mmap],
    build: ModuleType,
    left_over: Callable[[], list[str]],
) -> None:
    path, mapping = mapped
    checksum = build.checksum(path.read_bytes()) if has_checksum else None
    before = file_key(path.stat())
    text = "Checksum error" if has_checksum else "changed while hsup was reading it"
    with pytest.raises(SlugError, match=text):
        store.unpack(Slug(location=str(path), checksum=checksum), progress=replacing(mapping))
    assert file_key(path.stat()) == before
    assert b"./steal" in mapping[:]
    assert left_over() == []
    assert os.listdir(Path(store.directory) / "unpacked") == []


def test_what_gets_another_time_while_it_is_read_is_used(
    store: SlugStore, archive: Path, read: Callable[[Unpacked, str], bytes]
) -> None:
    def touching(*_: object) -> AbstractContextManager[Advance]:
        os.utime(archive)
        return nullcontext(lambda _: None)

    with store.unpack(Slug(location=str(archive)), progress=touching) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./serve\n"


@pytest.mark.parametrize("content", [b"<html>", b"\x1f\x8b damaged"])
def test_what_cannot_be_unpacked_is_error_r17_where_another_was_expected(
    content: bytes, store: SlugStore, archive: Path, build: ModuleType
) -> None:
    expected = build.checksum(archive.read_bytes())
    archive.write_bytes(content)
    with pytest.raises(ChecksumError, match=f"Actual: SHA256:{build.sha256(content)}"):
        store.unpack(Slug(location=str(archive), checksum=expected))
    with pytest.raises(SlugError, match="cannot unpack slug"):
        store.unpack(Slug(location=str(archive), checksum=build.checksum(archive.read_bytes())))


def test_an_archive_with_a_checksum_is_read_once(
    store: SlugStore, archive: Path, build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.slugs.intake.digest_of", None)
    store.unpack(Slug(location=str(archive), checksum=build.checksum(archive.read_bytes()))).close()


@contextmanager
def small_file_system(path: Path) -> Iterator[None]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("is_remote", [False, True])
def test_a_full_disk_is_told_and_left_empty(
    is_remote: bool,
    make_store: Callable[..., SlugStore],
    server: Server,
    build: ModuleType,
    tmp_path: Path,
) -> None:
    server.content = build.slug(os.urandom(2 << 20))
    (tmp_path / "slug.tgz").write_bytes(server.content)
    location = f"{server.origin}/slug.tgz" if is_remote else "slug.tgz"
    directory = tmp_path / "small"
    with small_file_system(directory):
        store = make_store(HSUP_SLUGS_DIR=str(directory))
        with pytest.raises(SlugError, match="No space left on device; free some space"):
            store.unpack(Slug(location=location))
        assert [path for path in directory.rglob("*") if path.parent != directory] == []


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the removal of every work directory fail."""

    def fail(path: str) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr("hsup.slugs.intake.shutil.rmtree", fail)


@pytest.mark.usefixtures("stuck")
def test_what_cannot_be_cleaned_up_is_not_kept_from_the_next_build(
    store: SlugStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "slug.tgz").write_bytes(b"<html>")
    with pytest.raises(SlugError, match="it is an HTML page"):
        store.unpack(Slug(location="slug.tgz"))
    (work,) = (Path(store.directory) / "work").iterdir()
    unlock(lock(str(work), EXCLUSIVE_NOW))
    assert f'cannot remove "{work}": Too many open files' in caplog.text


@pytest.mark.usefixtures("stuck")
def test_a_slug_is_used_although_its_work_directory_stays(
    store: SlugStore, slug: Slug, read: Callable[[Unpacked, str], bytes]
) -> None:
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile")
