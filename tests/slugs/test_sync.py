from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hsup.model import Slug
from hsup.slugs import SlugStore


def test_a_slug_that_could_not_be_written_is_unpacked_again(
    store: SlugStore, slug: Slug, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    unpacked = store.unpack(slug)
    directory = Path(unpacked.directory).parent
    with monkeypatch.context() as patch:
        patch.setattr("hsup.slugs.sync._sync_file_system", fail)
        store.sync()
    assert "to disk (Input/output error); it will be unpacked again" in caplog.text
    unpacked.close()
    before = directory.stat().st_ino
    store.unpack(slug).close()
    assert directory.stat().st_ino != before
    store.sync()
    assert (directory / "synced").exists()


def test_a_slug_that_cannot_be_written_yet_is_written_later(
    store: SlugStore, slug: Slug, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    unpacked = store.unpack(slug)
    with monkeypatch.context() as patch:
        patch.setattr("hsup.slugs.sync.lock", fail)
        store.sync()
    assert "to disk (Too many open files); will retry" in caplog.text
    store.sync()
    assert (Path(unpacked.directory).parent / "synced").exists()
