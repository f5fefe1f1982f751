"""The release that runs is kept for the next hsup."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsup.errors import SourceError
from hsup.model import Command, Drain, ProcessType, Release, Slug
from hsup_source_directory.control_file import MAX_BRACKETS, parse
from hsup_source_directory.reading import MAX_BYTES
from hsup_source_directory.running import control_file
from hsup_source_directory.source import DirectorySource

WHOLE = Release(
    app="shop",
    version=7,
    config={"A": "two\nlines", "B": "é\033"},
    processes=(
        ProcessType("web", Command(("./web | tee log",)), 2, "standard-2x"),
        ProcessType("release", Command(("rake", "db:migrate")), 0),
    ),
    slug=Slug("slug.tgz", "SHA256:" + "a" * 64),
    stack="heroku-24",
    logplex_url="https://logs.example",
    drains=(Drain("https://a.example/x"),),
)


class Digests(dict[str, str | None]):
    """The digests of slugs by location, like those of the slug store."""

    def __call__(self, release: Release) -> str | None:
        return self.get(release.slug.location) if release.slug else None


@pytest.mark.parametrize("release", [WHOLE, Release("shop", 0)])
def test_a_control_file_of_a_release_gives_it_again(release: Release) -> None:
    assert parse(control_file(release), app=None, default_app="").release == release


def largest(said: bytes) -> bytes:
    """Return a control file of the maximal size."""
    return said + b" " * (MAX_BYTES - len(said))


@pytest.mark.parametrize(
    "said",
    [
        {"Env": {"A": "\u0434" * 500_000}},
        {"Env": {"A": '"\n' * 250_000}},
        {"Processes": [{"Type": "web", "Quantity": 1, "Args": ["a"] * 250_000}]},
        {
            "Env": {"A": "a" * 1_000_000},
            "Processes": [{"Type": f"w{n}", "Quantity": 1, "Args": ["a"]} for n in range(1000)],
        },
        {"Name": "[" * (MAX_BRACKETS - 1)},
    ],
    ids=["letters", "escapes", "words", "defaults", "brackets"],
)
def test_what_runs_of_the_largest_control_files_is_kept(
    directory: Path, said: dict[str, Any]
) -> None:
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    release = accept(directory, largest(text.encode()))
    DirectorySource(directory).keep(release)
    assert DirectorySource(directory).kept() == release


def accept(directory: Path, content: bytes) -> Release:
    (directory / "new").write_bytes(content)
    return release_of(DirectorySource(directory))


def release_of(source: DirectorySource) -> Release:
    release = source.fetch().release
    assert release
    return release


def test_what_was_kept_is_the_same_release_after_a_restart(
    directory: Path, version: Callable[..., bytes]
) -> None:
    release = accept(directory, version(1, Slug="slug.tgz"))
    DirectorySource(directory).keep(release)
    source = DirectorySource(directory)
    assert source.fetch().release == source.kept() == release


def test_what_was_kept_is_private(directory: Path, version: Callable[..., bytes]) -> None:
    source = DirectorySource(directory)
    source.keep(accept(directory, version(1)))
    assert stat.S_IMODE((directory / ".running").stat().st_mode) == 0o600


def test_what_runs_stays_when_something_newer_is_accepted(
    directory: Path, version: Callable[..., bytes]
) -> None:
    release = accept(directory, version(1))
    DirectorySource(directory).keep(release)
    accept(directory, version(2))
    source = DirectorySource(directory)
    assert source.fetch().release.version == 2
    assert source.kept() == release


def test_what_was_kept_outlives_a_loaded_that_cannot_be_read(
    directory: Path, version: Callable[..., bytes]
) -> None:
    release = accept(directory, version(1))
    DirectorySource(directory).keep(release)
    (directory / "loaded").write_bytes(b"{")
    source = DirectorySource(directory)
    with pytest.raises(SourceError):
        source.fetch()
    assert source.kept() == release


@pytest.mark.parametrize("content", [b"", b"{", b'{"Version": "two"}'])
def test_what_is_no_release_was_not_kept(
    directory: Path, version: Callable[..., bytes], content: bytes
) -> None:
    accept(directory, version(1))
    (directory / ".running").write_bytes(content)
    assert DirectorySource(directory).kept() is None


def test_nothing_was_kept_where_loaded_was_removed(
    directory: Path, version: Callable[..., bytes]
) -> None:
    source = DirectorySource(directory)
    source.keep(accept(directory, version(1)))
    (directory / "loaded").unlink()
    assert source.kept() is None


class TestArchiveThatIsReplaced:
    """The next archive has the same path, so the digest identifies the one that ran."""

    def keep(
        self,
        directory: Path,
        version: Callable[..., bytes],
        digests: Digests,
        location: str = "slug.tgz",
    ) -> Release:
        release = accept(directory, version(1, Slug=location))
        slug = release.slug
        assert slug is not None
        running = slug._replace(checksum=f"SHA256:{digests(release)}")
        DirectorySource(directory).keep(release._replace(slug=running))
        return release

    def restarted(self, directory: Path, digests: Digests) -> Release | None:
        source = DirectorySource(directory, digest_of=digests)
        source.fetch()
        return source.kept()

    def test_the_archive_is_the_same(self, directory: Path, version: Callable[..., bytes]) -> None:
        digests = Digests({"slug.tgz": "a" * 64})
        release = self.keep(directory, version, digests)
        assert self.restarted(directory, digests) == release

    @pytest.mark.parametrize("digest", ["b" * 64, None])
    def test_another_archive_is_another_release(
        self, directory: Path, version: Callable[..., bytes], digest: str | None
    ) -> None:
        release = self.keep(directory, version, Digests({"slug.tgz": "a" * 64}))
        kept = self.restarted(directory, Digests({"slug.tgz": digest}))
        assert kept == release._replace(slug=Slug("slug.tgz", "SHA256:" + "a" * 64))

    def test_a_newer_release_in_the_same_place_leaves_the_code_of_the_older(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        digests = Digests({"slug.tgz": "a" * 64})
        self.keep(directory, version, digests)
        accept(directory, version(2, Slug="slug.tgz"))
        assert self.restarted(directory, digests).slug == Slug("slug.tgz", "SHA256:" + "a" * 64)

    def test_of_a_url_the_server_is_not_asked(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        release = self.keep(directory, version, Digests({"https://x/s": "a" * 64}), "https://x/s")
        assert self.restarted(directory, Digests()) == release


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a file of another user")
def test_what_is_kept_has_the_same_author_after_a_restart(
    directory: Path, version: Callable[..., bytes]
) -> None:
    os.chown(directory, 61001, 61001)
    (directory / "new").write_bytes(version(1))
    os.chown(directory / "new", 61001, 61001)
    source = DirectorySource(directory)
    source.keep(release_of(source))
    assert DirectorySource(directory).kept().author == (61001, 61001)
