"""Which images a release may name, whoever has written it."""

from __future__ import annotations

import json
import os
import socket
import threading

import pytest

from hsup.api import Settings
from hsup.errors import DriverError
from hsup.model import Author, Slug
from hsup_driver_docker.connection import Connection
from hsup_driver_docker.endpoint import find
from hsup_driver_docker.engine import Engine
from hsup_driver_docker.images import Images, Wanted

STRANGER = Author(os.geteuid() + 61001, 61001)
DIGEST = "a" * 64


@pytest.fixture
def images(tmp_path):
    """Give the images of an engine that has one, under every name, with the given labels."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()

        def answer(image):
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:  # the test is over
                    return
                with connected:
                    connected.recv(1 << 16)
                    connected.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(image).encode())

        def start(labels):
            image = {"Id": "sha256:1", "Config": {"Labels": labels}}
            threading.Thread(target=answer, args=[image], daemon=True).start()
            engine = Engine(Connection(find({"DOCKER_HOST": f"unix://{tmp_path}/sock"})))
            return Images(Settings(folder=str(tmp_path), environ={}), engine)

        yield start
        listening.shutdown(socket.SHUT_RDWR)


def obtain(images, name, author):
    wanted = Wanted("mine", Slug(f"docker://{name}"), None, author)
    return images.obtain(wanted, 1, lambda: "nobody")


@pytest.mark.parametrize("name", ["hsup/shop:0123456789abcdef", DIGEST, "renamed:1"])
def test_an_image_that_hsup_built_is_refused_to_an_author_who_may_not_read_all(images, name):
    ours = images({"hsup.image.app": "shop", "hsup.image.slug": DIGEST})
    with pytest.raises(DriverError, match="was built by hsup of a slug") as refused:
        obtain(ours, name, STRANGER)
    assert refused.value.hint


@pytest.mark.parametrize("author", [None, Author(0, 0), Author(os.geteuid(), 61001)])
def test_an_image_that_hsup_built_runs_for_an_author_who_may_read_all(images, author):
    ours = images({"hsup.image.app": "shop"})
    assert obtain(ours, "hsup/shop:0123456789abcdef", author).id == "sha256:1"


@pytest.mark.parametrize("labels", [None, {}, {"maintainer": "somebody"}])
def test_an_image_of_somebody_else_runs_for_every_author(images, labels):
    assert obtain(images(labels), "shop:1", STRANGER).is_own
