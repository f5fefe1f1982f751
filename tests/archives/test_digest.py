from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from types import ModuleType

import pytest

from hsup.archives.digest import Known, KnownDigests, digest_of, expected_digest, file_key
from hsup.cancellation import GivenUp, until
from hsup.model import Slug
from hsup.slugs import SlugError, SlugStore


@pytest.mark.parametrize("checksum", ["SHA256:", "MD5:" + "0" * 64, "SHA256:" + "g" * 64])
def test_a_checksum_of_another_form_is_told(checksum: str, store: SlugStore, archive: Path) -> None:
    with pytest.raises(SlugError, match="64 hexadecimal digits"):
        store.unpack(Slug(location=str(archive), checksum=checksum))


def test_the_letters_of_a_checksum_may_be_large(
    store: SlugStore, archive: Path, build: ModuleType
) -> None:
    checksum = build.checksum(archive.read_bytes()).upper()
    store.unpack(Slug(location=str(archive), checksum=checksum)).close()


def test_a_release_without_a_checksum_expects_none() -> None:
    assert (expected_digest(None), expected_digest("")) == (None, None)


def test_the_digest_of_a_file_is_of_all_that_it_has(tmp_path: Path, build: ModuleType) -> None:
    content = os.urandom((1 << 20) + 1)
    (tmp_path / "archive").write_bytes(content)
    assert digest_of(str(tmp_path / "archive")) == build.sha256(content)


def test_a_file_without_an_end_is_not_read() -> None:
    assert digest_of("/dev/zero") == hashlib.sha256(b"").hexdigest()


def test_a_digest_that_nobody_wants_any_more_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"content")
    given_up = threading.Event()
    given_up.set()
    with until(given_up), pytest.raises(GivenUp):
        digest_of(str(tmp_path / "archive"))


def test_the_key_of_a_file_changes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(b"content")
    before = file_key(path.stat())
    assert file_key(path.stat()) == before
    path.write_bytes(b"longer content")
    assert file_key(path.stat()) != before


@pytest.fixture
def known(tmp_path: Path) -> KnownDigests:
    return KnownDigests(str(tmp_path))


def test_what_is_known_of_an_archive_is_remembered(known: KnownDigests, tmp_path: Path) -> None:
    assert known.get("key") is None
    known.put("key", Known("0" * 64, '"etag"'))
    assert KnownDigests(str(tmp_path)).get("key") == Known("0" * 64, '"etag"')


@pytest.mark.parametrize("content", [b"", b"0" * 64, b"0" * 64 + b"\nx", b"x\n\n", b"\xff\n\n"])
def test_half_of_a_note_is_none(content: bytes, known: KnownDigests, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    assert known.get("key") is None


def test_what_leads_to_no_slug_is_forgotten(known: KnownDigests) -> None:
    known.put("kept", Known("0" * 64))
    known.put("gone", Known("1" * 64))
    known.forget_all_but({"0" * 64})
    assert (known.get("kept"), known.get("gone")) == (Known("0" * 64), None)
