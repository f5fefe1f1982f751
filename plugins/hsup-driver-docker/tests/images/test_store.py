"""Images that a release of each author may name, and the names of those that hsup builds."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Settings
from hsup.archives.limits import Limits
from hsup.errors import DriverError
from hsup.model import Author, Slug
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import Connection
from hsup_driver_docker.engine.endpoint import find
from hsup_driver_docker.images.image import Image
from hsup_driver_docker.images.store import Images, Wanted, directory_digest, held, image_name
from hsup_driver_docker.images.tree import walk

STRANGER = Author(os.geteuid() + 61001, 61001)
DIGEST = "a" * 64
LABELS = {
    "hsup.image.app": "Shop & Co",
    "hsup.image.slug": "0" * 64,
    "hsup.image.stack": "heroku-24",
    "hsup.image.format": "1",
    "hsup.image.base": "sha256:1",
    "hsup.image.release": "v1",
}


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Callable[..., Images]]:
    """Return the images of an engine with one image, under every name, with these labels."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()

        def answer(image: dict[str, Any]) -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:  # the test is over
                    return
                with connected:
                    connected.recv(1 << 16)
                    connected.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(image).encode())

        def start(labels: dict[str, str]) -> Images:
            image = {"Id": "sha256:1", "Config": {"Labels": labels}}
            threading.Thread(target=answer, args=[image], daemon=True).start()
            engine = Engine(Connection(find({"DOCKER_HOST": f"unix://{tmp_path}/sock"})))
            return Images(Settings(directory=str(tmp_path), environ={}), engine)

        yield start
        listening.shutdown(socket.SHUT_RDWR)


def obtain(images: Images, name: str, author: Author | None) -> Image:
    wanted = Wanted("mine", Slug(f"docker://{name}"), None, author)
    return images.obtain(wanted, 1, lambda: "nobody")


@pytest.mark.parametrize("name", ["hsup/shop:0123456789abcdef", DIGEST, "renamed:1"])
def test_an_image_that_hsup_built_is_refused_to_an_author_who_may_not_read_all(
    images: Callable[..., Images], name: str
) -> None:
    ours = images({"hsup.image.app": "shop", "hsup.image.slug": DIGEST})
    with pytest.raises(DriverError, match="has a slug in it") as refused:
        obtain(ours, name, STRANGER)
    assert refused.value.hint


@pytest.mark.parametrize("author", [None, Author(0, 0), Author(os.geteuid(), 61001)])
def test_an_image_that_hsup_built_runs_for_an_author_who_may_read_all(
    images: Callable[..., Images], author: Author | None
) -> None:
    ours = images({"hsup.image.app": "shop"})
    assert obtain(ours, "hsup/shop:0123456789abcdef", author).id == "sha256:1"


@pytest.mark.parametrize("labels", [None, {}, {"maintainer": "somebody"}])
def test_an_image_of_somebody_else_runs_for_every_author(
    images: Callable[..., Images], labels: dict[str, str] | None
) -> None:
    assert obtain(images(labels), "shop:1", STRANGER).is_own


def test_an_image_is_named_after_its_application_and_a_digest() -> None:
    repository, _, tag = image_name(LABELS).partition(":")
    assert repository == "hsup/shop-co"
    assert len(tag) == 32
    assert set(tag) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("app", "shop-co"),
        ("slug", "0" * 63 + "1"),
        ("slug", "none"),
        ("stack", "heroku-22"),
        ("format", "2"),
    ],
)
def test_what_is_built_of_something_else_has_another_name(label: str, value: str) -> None:
    assert image_name({**LABELS, f"hsup.image.{label}": value}) != image_name(LABELS)


@pytest.mark.parametrize("label", ["base", "release"])
def test_a_newer_base_or_release_has_the_same_name(label: str) -> None:
    assert image_name({**LABELS, f"hsup.image.{label}": "other"}) == image_name(LABELS)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/one").write_text("1")
    (tmp_path / "link").symlink_to("lib/one")
    return tmp_path


def test_a_directory_has_the_same_digest_each_time(directory: Path) -> None:
    digest = directory_digest(str(directory))
    assert len(digest) == 64
    assert directory_digest(str(directory)) == digest


@pytest.mark.parametrize(
    "change",
    [
        lambda directory: (directory / "lib/one").write_text("22"),
        lambda directory: os.utime(directory / "lib/one", (1, 1)),
        lambda directory: (directory / "lib/one").chmod(0o755),
        lambda directory: (directory / "lib").chmod(0o700),
        lambda directory: (directory / "lib/one").rename(directory / "lib/two"),
        lambda directory: (directory / "lib/two").touch(),
        lambda directory: ((directory / "link").unlink(), (directory / "link").symlink_to("lib")),
    ],
    ids=["content", "time", "mode", "mode of a directory", "name", "another", "link"],
)
def test_whatever_changes_in_a_directory_changes_its_digest(
    directory: Path, change: Callable[..., Any]
) -> None:
    before = directory_digest(str(directory))
    change(directory)
    assert directory_digest(str(directory)) != before


class TestADirectory:
    """A slug that is a directory, of an author who may read everything."""

    @pytest.fixture
    def app(self, tmp_path: Path) -> Path:
        app = tmp_path / "app"
        app.mkdir()
        (app / "mine").write_text("mine")
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets/key").write_text("secret")
        return app

    def test_it_stays_what_was_opened_wherever_its_path_leads_meanwhile(self, app: Path) -> None:
        with held(str(app), app.stat().st_ino) as directory:
            digest = directory_digest(directory)
            app.rename(app.with_name("aside"))
            app.symlink_to(app.with_name("secrets"))
            assert [entry.path for entry in walk(directory)] == ["", "/mine"]
            assert directory_digest(directory) == digest

    def test_another_one_than_the_release_was_read_from_is_refused(self, app: Path) -> None:
        inode = app.stat().st_ino
        app.rename(app.with_name("aside"))
        app.symlink_to(app.with_name("secrets"))
        refused = pytest.raises(DriverError, match="is no longer the directory that the release")
        with refused, held(str(app), inode):
            pass

    def test_one_that_cannot_be_opened_is_an_error(self, app: Path) -> None:
        refused = pytest.raises(
            DriverError, match="cannot read the files of the slug: No such file"
        )
        with refused, held(str(app / "none"), None):
            pass

    @pytest.mark.parametrize(
        ("limits", "problem"),
        [
            (Limits(size=1 << 40, files=2), "more than 2 files; raise HSUP_SLUGS_MAX_FILES"),
            (
                Limits(size=1 << 30, files=9),
                "more than 1073741824 bytes; raise HSUP_SLUGS_MAX",
            ),
        ],
        ids=["files", "bytes"],
    )
    def test_one_that_is_larger_than_an_archive_may_be_is_refused(
        self, app: Path, limits: Limits, problem: str
    ) -> None:
        with (app / "sparse").open("wb") as file:
            file.truncate(8 << 40)
        with pytest.raises(DriverError, match=problem):
            directory_digest(str(app), limits)
        assert directory_digest(str(app))  # of an author who is trusted
