from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.archives.location import ArchiveFile, ArchiveURL, Directory, find, shown_url
from hsup.model import Slug
from hsup.slugs import SlugError, SlugStore, Unpacked


@pytest.mark.parametrize("form", ["slug.tgz", "{path}", "file://{path}", "file://localhost{path}"])
def test_a_file_is_found_by_path_and_by_url(
    form: str, store: SlugStore, archive: Path, read: Callable[[Unpacked, str], bytes]
) -> None:
    location = form.format(path=archive)
    with store.unpack(Slug(location=location)) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./serve\n"


def test_a_url_of_a_file_may_have_escapes(
    store: SlugStore, archive: Path, read: Callable[[Unpacked, str], bytes]
) -> None:
    archive.rename(archive.with_name("a slug.tgz"))
    url = f"file://{archive.parent}/a%20slug.tgz"
    with store.unpack(Slug(location=url)) as unpacked:
        assert read(unpacked, "Procfile")


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("absent.tgz", 'cannot read slug "{}/absent.tgz": No such file'),
        (
            "s3://bucket/slug.tgz",
            'cannot fetch the slug from a URL with the scheme "s3"; give a path',
        ),
        (
            "docker://shop:1",
            "cannot unpack a container image as a slug; run it with the docker driver",
        ),
        (
            "http://me:secret@[oops/slug.tgz",
            "^the slug's URL has an invalid host; put an IPv6 address in brackets",
        ),
        (
            "http://me:p/secret@host/slug.tgz",
            "^the slug's URL has an invalid host; put an IPv6 address in brackets",
        ),
        ("http:/me:secret@host/slug.tgz", "^the slug's URL must begin with http:// or https://$"),
        (
            "file://[oops/slug.tgz",
            "^the slug's URL has an invalid host; put an IPv6 address in brackets",
        ),
        ("file:///slug%00.tgz", r'^"file:///slug%00.tgz" has no valid path'),
        ("slug\0.tgz", r"^the slug's path 'slug\\x00.tgz' contains a NUL character$"),
        ("file://host/slug.tgz", 'names a file on another machine, "host"'),
        ("fifo", "neither a file nor a directory"),
    ],
)
def test_what_is_no_slug_is_told(
    location: str, text: str, store: SlugStore, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SlugError, match=text.format(tmp_path)) as caught:
        store.unpack(Slug(location=location))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("slug.tgz", ArchiveFile("/app/slug.tgz")),
        ("/x/slug.tgz", ArchiveFile("/x/slug.tgz")),
        ("file:///x/a%20slug.tgz", ArchiveFile("/x/a slug.tgz")),
        ("file://localhost/proc", Directory("/proc")),
        ("/proc", Directory("/proc")),
        (
            "https://me:secret@host:8443/slug.tgz?signature=secret",
            ArchiveURL(
                "https://me:secret@host:8443/slug.tgz?signature=secret",
                "https://host:8443/slug.tgz",
            ),
        ),
    ],
)
def test_what_a_location_means(location: str, found: ArchiveFile | Directory | ArchiveURL) -> None:
    assert find(location, "/app") == found


def test_a_url_is_shown_without_what_is_secret() -> None:
    assert str(find("http://me:secret@host/x?key=secret", "/")) == "http://host/x"
    assert shown_url("https://me:secret@host/x?key=secret#secret") == "https://host/x"
