from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsup.errors import HsupError
from hsup.long_work import LongWork, waited_for
from hsup.model import Author, Slug
from hsup.slugs import SlugError, SlugStore, Unpacked


def test_a_directory_is_used_as_it_is(store: SlugStore, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    with store.unpack(Slug(location="code")) as unpacked:
        assert unpacked.directory == str(tmp_path / "code")
    assert not (tmp_path / "slugs").exists()


def test_the_directory_that_a_release_was_read_from_is_used_wherever_it_is(
    store: SlugStore, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "name").touch()
    slug = Slug(location=str(code), inode=code.stat().st_ino)
    with store.unpack(slug) as unpacked:
        code.rename(tmp_path / "aside")
        code.mkdir()
        assert os.listdir(unpacked.directory) == ["name"]
        with pytest.raises(SlugError, match="is no longer the directory that the release was"):
            store.unpack(slug)


def test_a_slug_is_unpacked_once(
    store: SlugStore, make_store: Callable[..., SlugStore], archive: Path
) -> None:
    with store.unpack(Slug(location=str(archive))) as first:
        made = os.stat(first.directory).st_ino
    with make_store().unpack(Slug(location=str(archive))) as second:
        assert os.stat(second.directory).st_ino == made


def test_who_has_a_slug_unpacked_learns_the_digest_of_its_archive(
    store: SlugStore, archive: Path, build: ModuleType
) -> None:
    """Also if the archive was written just now, so that its times do not tell what is in it."""
    for _ in ("unpacked", "found unpacked"):
        archive.touch()
        with waited_for(LongWork()) as work:
            store.unpack(Slug(location=str(archive))).close()
        assert work.archive == build.sha256(archive.read_bytes())
    (archive.parent / "code").mkdir()
    with waited_for(LongWork()) as work:
        store.unpack(Slug(location="code"))
    assert work.archive is None


def test_the_digest_of_an_archive_is_found_wherever_it_comes_from(
    store: SlugStore, make_store: Callable[..., SlugStore], archive: Path, build: ModuleType
) -> None:
    digest = build.sha256(archive.read_bytes())
    slug = Slug(location=str(archive))
    assert store.digest_of(slug) == digest
    store.unpack(slug).close()
    assert make_store().digest_of(slug) == digest
    assert store.digest_of(Slug(location="gone", checksum=f"SHA256:{digest}")) == digest
    assert store.digest_of(Slug(location="https://127.0.0.1:1/slug.tgz")) is None
    assert store.digest_of(Slug(location=str(archive.parent))) is None
    with pytest.raises(SlugError, match="cannot read slug"):
        store.digest_of(Slug(location="gone.tgz"))


def test_the_digest_of_a_settled_archive_is_remembered(
    store: SlugStore, archive: Path, build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    slug = Slug(location=str(archive))
    store.unpack(slug).close()
    monkeypatch.setattr("hsup.slugs.store.is_settled", lambda _: True)
    digest = store.digest_of(slug)
    monkeypatch.setattr("hsup.slugs.store.digest_of", None)  # not read again
    assert store.digest_of(slug) == digest == build.sha256(archive.read_bytes())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the rights of another user")
def test_of_what_an_author_may_not_read_no_digest_is_told(store: SlugStore, archive: Path) -> None:
    archive.chmod(0o600)
    with pytest.raises(SlugError, match="uid 61001, is not allowed to read"):
        store.digest_of(Slug(location=str(archive)), author=Author(61001, 61001))


def test_a_slug_with_a_known_checksum_needs_its_archive_no_more(
    store: SlugStore, archive: Path, build: ModuleType, read: Callable[[Unpacked, str], bytes]
) -> None:
    slug = Slug(location=str(archive), checksum=build.checksum(archive.read_bytes()))
    store.unpack(slug).close()
    archive.unlink()
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile")


def test_a_changed_archive_is_unpacked_again(
    store: SlugStore, archive: Path, build: ModuleType, read: Callable[[Unpacked, str], bytes]
) -> None:
    store.unpack(Slug(location=str(archive))).close()
    archive.write_bytes(build.slug(b"web: ./other\n"))
    with store.unpack(Slug(location=str(archive))) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./other\n"


def test_errors_are_hsups(store: SlugStore) -> None:
    with pytest.raises(HsupError):
        store.unpack(Slug(location="absent"))


def test_the_import_is_light() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import hsup.slugs"]
    ended = subprocess.run(command, capture_output=True, check=True, text=True)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    modules = {line.rpartition("|")[2].strip() for line in lines[1:]}
    heavy = {"requests", "tarfile", "asyncio", "click", "hashlib", "logging", "shutil", "lzma"}
    assert modules.isdisjoint({*heavy, "urllib.parse", "hsup.slugs.unpack"})
