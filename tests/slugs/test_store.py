from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from hsup.archives.digest import file_key
from hsup.errors import HsupError, UsageError
from hsup.model import Slug
from hsup.slugs import ChecksumError, SlugError


@pytest.fixture
def archive(tmp_path, build):
    path = tmp_path / "slug.tgz"
    path.write_bytes(build.slug())
    return path


def checksum_of(build, archive):
    return f"SHA256:{build.sha256(archive.read_bytes())}"


@pytest.mark.parametrize("form", ["slug.tgz", "{path}", "file://{path}", "file://localhost{path}"])
def test_a_file_is_found_by_path_and_by_url(form, store, archive, read):
    location = form.format(path=archive)
    with store.unpack(Slug(location=location)) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./serve\n"


def test_a_url_of_a_file_may_have_escapes(store, archive, read):
    archive.rename(archive.with_name("a slug.tgz"))
    url = f"file://{archive.parent}/a%20slug.tgz"
    with store.unpack(Slug(location=url)) as unpacked:
        assert read(unpacked, "Procfile")


def test_a_folder_is_used_as_it_is(store, tmp_path):
    (tmp_path / "code").mkdir()
    with store.unpack(Slug(location="code")) as unpacked:
        assert unpacked.folder == str(tmp_path / "code")
    assert not (tmp_path / "slugs").exists()


def test_the_folder_that_a_release_was_read_from_is_used_wherever_it_is(store, tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    (code / "name").touch()
    slug = Slug(location=str(code), inode=code.stat().st_ino)
    with store.unpack(slug) as unpacked:
        code.rename(tmp_path / "aside")
        code.mkdir()
        assert os.listdir(unpacked.folder) == ["name"]
        assert not unpacked.is_current
        with pytest.raises(SlugError, match="another folder than the release was read from"):
            store.unpack(slug)


def test_a_slug_is_unpacked_once(store, make_store, archive):
    with store.unpack(Slug(location=str(archive))) as first:
        made = os.stat(first.folder).st_ino
    with make_store().unpack(Slug(location=str(archive))) as second:
        assert os.stat(second.folder).st_ino == made


def test_a_slug_with_a_known_checksum_needs_its_archive_no_more(store, archive, build, read):
    slug = Slug(location=str(archive), checksum=checksum_of(build, archive))
    store.unpack(slug).close()
    archive.unlink()
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile")


def test_a_changed_archive_is_unpacked_again(store, archive, build, read):
    store.unpack(Slug(location=str(archive))).close()
    archive.write_bytes(build.slug(b"web: ./other\n"))
    with store.unpack(Slug(location=str(archive))) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./other\n"


def test_an_archive_that_has_not_changed_is_not_read_again(store, archive):
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


def _now_of(folder):
    """Return the time that the file system of a folder gives new files."""
    probe = folder / "probe"
    probe.touch()
    return probe.stat().st_ctime_ns


def test_another_archive_than_the_release_was_made_with_is_error_r17(
    store, archive, build, left_over
):
    wrong = "0" * 64
    with pytest.raises(ChecksumError) as caught:
        store.unpack(Slug(location=str(archive), checksum=f"SHA256:{wrong}"))
    actual = build.sha256(archive.read_bytes())
    assert (
        "Error R17 (Checksum error) -> Checksum does match expected value. "
        f"Expected: SHA256:{wrong} Actual: SHA256:{actual}"
    ) in str(caught.value)
    assert left_over() == []


@pytest.mark.parametrize("checksum", ["SHA256:", "MD5:" + "0" * 64, "SHA256:" + "g" * 64])
def test_a_checksum_of_another_form_is_told(checksum, store, archive):
    with pytest.raises(SlugError, match="64 hexadecimal digits"):
        store.unpack(Slug(location=str(archive), checksum=checksum))


def test_the_letters_of_a_checksum_may_be_large(store, archive, build):
    checksum = checksum_of(build, archive).upper()
    store.unpack(Slug(location=str(archive), checksum=checksum)).close()


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("absent.tgz", "cannot read slug {}/absent.tgz: No such file"),
        ("s3://bucket/slug.tgz", "cannot get anything by s3://"),
        ("docker://shop:1", "a container image is no slug; run it with the docker driver"),
        ("http://me:secret@[oops/slug.tgz", "^a URL names no valid host; correct its host"),
        ("http://me:p/secret@host/slug.tgz", "^a URL names no valid host; correct its host"),
        ("http:/me:secret@host/slug.tgz", "^a URL lacks a slash; let it begin with http://"),
        ("file://[oops/slug.tgz", "^a URL names no valid host; correct its host"),
        ("file:///slug%00.tgz", r'^"file:///slug%00.tgz" names no path'),
        ("slug\0.tgz", r"the path 'slug\\x00.tgz' has a NUL"),
        ("file://host/slug.tgz", 'on another machine, "host"'),
        ("fifo", "neither a file nor a directory"),
    ],
)
def test_what_is_no_slug_is_told(location, text, store, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SlugError, match=text.format(tmp_path)) as caught:
        store.unpack(Slug(location=location))
    assert "secret" not in str(caught.value)


@pytest.fixture
def mapped(build):
    """Return a file that its author can change without a trace: its times stay as they are."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".tar") as file:
        file.write(build.tar(build.member("app/Procfile", b"web: ./serve\n")))
        file.flush()
        with mmap.mmap(file.fileno(), 0) as mapping:
            mapping[:] = bytes(mapping)  # the first write of a page counts as a change
            yield Path(file.name), mapping


def replacing(mapping):
    """Return a progress that has the author change his file once it was found."""

    @contextmanager
    def progress(*_):
        at = mapping.find(b"./serve")
        mapping[at : at + 7] = b"./steal"
        yield lambda _: None

    return progress


@pytest.mark.parametrize("has_checksum", [False, True])
def test_what_its_author_changes_while_it_is_read_is_refused(
    has_checksum, store, mapped, build, left_over
):
    path, mapping = mapped
    checksum = checksum_of(build, path) if has_checksum else None
    before = file_key(path.stat())
    text = "Checksum error" if has_checksum else "was changed while it was read"
    with pytest.raises(SlugError, match=text):
        store.unpack(Slug(location=str(path), checksum=checksum), progress=replacing(mapping))
    assert file_key(path.stat()) == before
    assert b"./steal" in mapping[:]
    assert left_over() == []
    assert os.listdir(Path(store.folder) / "unpacked") == []


def test_what_gets_another_time_while_it_is_read_is_used(store, archive, read):
    def touching(*_):
        os.utime(archive)
        return nullcontext(lambda _: None)

    with store.unpack(Slug(location=str(archive)), progress=touching) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./serve\n"


@pytest.mark.parametrize("content", [b"<html>", b"\x1f\x8b damaged"])
def test_what_cannot_be_unpacked_is_error_r17_where_another_was_expected(
    content, store, archive, build
):
    expected = checksum_of(build, archive)
    archive.write_bytes(content)
    with pytest.raises(ChecksumError, match=f"Actual: SHA256:{build.sha256(content)}"):
        store.unpack(Slug(location=str(archive), checksum=expected))
    with pytest.raises(SlugError, match="cannot unpack slug"):
        store.unpack(Slug(location=str(archive), checksum=checksum_of(build, archive)))


def test_an_archive_with_a_checksum_is_read_once(store, archive, build, monkeypatch):
    monkeypatch.setattr("hsup.slugs.intake.digest_of", None)
    store.unpack(Slug(location=str(archive), checksum=checksum_of(build, archive))).close()


def test_a_store_that_cannot_be_made_is_told_with_the_variable(make_store, archive, tmp_path):
    (tmp_path / "occupied").touch()
    store = make_store(HSUP_SLUGS_DIR=str(tmp_path / "occupied" / "slugs"))
    with pytest.raises(SlugError, match=r"cannot keep slugs in .*/occupied/slugs: Not a directory"):
        store.unpack(Slug(location=str(archive)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_to_have_a_store_of_their_own(make_store):
    store = make_store(HSUP_SLUGS_DIR="/root/slugs")
    os.seteuid(65534)
    try:
        with pytest.raises(SlugError, match="run hsup as root, or set HSUP_SLUGS_DIR"):
            store.unpack(Slug(location="/etc/passwd"))
    finally:
        os.seteuid(0)


def test_values_that_make_no_sense_are_told_when_the_store_is_made(make_store):
    with pytest.raises(UsageError, match='HSUP_SLUGS_KEEP is "some"'):
        make_store(HSUP_SLUGS_KEEP="some")


def test_closing_twice_does_no_harm(store, archive):
    unpacked = store.unpack(Slug(location=str(archive)))
    unpacked.close()
    unpacked.close()


def test_errors_are_hsups(store):
    with pytest.raises(HsupError):
        store.unpack(Slug(location="absent"))


def test_the_import_is_light():
    command = [sys.executable, "-X", "importtime", "-c", "import hsup.slugs"]
    ended = subprocess.run(command, capture_output=True, check=True, text=True)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    modules = {line.rpartition("|")[2].strip() for line in lines[1:]}
    heavy = {"requests", "tarfile", "asyncio", "click", "hashlib", "logging", "shutil", "lzma"}
    assert modules.isdisjoint({*heavy, "urllib.parse", "hsup.slugs.unpack"})
