"""The requests for bind mounts to engines of several versions."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from hsup.model import Bind, Command, DynoName, Release
from hsup.sizes import SIZES
from hsup.testing import dyno_spec
from hsup_driver_docker.containers.factory import ContainerFactory
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import Connection, Stream
from hsup_driver_docker.images.image import Image

#: What `GET /info` says, as far as it is looked at, of API 1.41 and of 1.44.
OLD = {
    "KernelVersion": "6.1.0-13-amd64",
    "DockerRootDir": "/var/lib/docker",
    "DefaultRuntime": "runc",
    "Runtimes": {"runc": {"path": "runc"}},
}
FEATURES = {"ociVersionMin": "1.0.0", "mountOptions": ["bind", "rbind", "ro", "rro"]}
STATUS = {"org.opencontainers.runtime-spec.features": json.dumps(FEATURES)}
NEW = {**OLD, "Runtimes": {"runc": {"path": "runc", "status": STATUS}}}
RECURSIVELY = {"ReadOnlyForceRecursive": True, "Propagation": "rprivate"}


class FakeConnection:
    """Answers like an engine, and notes the containers that it is asked to make."""

    def __init__(self, information: Mapping[str, object]) -> None:
        self._information = information
        self.created: list[Any] = []

    def ask(
        self, _method: str, path: str, _query: object = None, body: Any = None, **_options: object
    ) -> Any:
        if path == "/info":
            return self._information
        self.created.append(body)
        return {"Id": "c1"}

    def open(self, *_asked: object, **_options: object) -> Stream:
        return Stream(socket.socket(), b"")


def mounts(information: Mapping[str, object], *binds: Bind) -> Any:
    """Return the mounts in the request for a dyno with these binds."""
    connection = FakeConnection(information)
    maker = ContainerFactory(Engine(cast(Connection, connection)), "owner", None, "127.0.0.1")
    spec = dyno_spec(Release("shop", 1), DynoName("web", 1), Command(("true",)), port=None)
    options = maker.options(SIZES["standard-1x"])
    launched = maker.launch(spec._replace(binds=binds), Image("sha256:1"), options)
    launched.stream.socket.close()
    return connection.created[0]["HostConfig"]["Mounts"]


def bind(host: Path | str, *, read_only: bool = True) -> Bind:
    return Bind(Path(host), Path("/seen"), read_only=read_only)


@pytest.mark.parametrize(("information", "options"), [(OLD, None), (NEW, RECURSIVELY)])
def test_what_is_mounted_below_is_read_only_too_where_the_engine_can(
    information: dict[str, Any], options: dict[str, bool | str] | None
) -> None:
    (made,) = mounts(information, bind("/srv"))
    assert made["ReadOnly"]
    assert made.get("BindOptions") == options


@pytest.mark.parametrize(
    "lack",
    [
        {"KernelVersion": "5.10.0-30-amd64"},
        {"KernelVersion": ""},
        {"DefaultRuntime": "runsc"},
        {"Runtimes": {"runc": {"status": {**STATUS, next(iter(STATUS)): "{}"}}}},
    ],
    ids=["kernel", "no kernel", "runtime", "feature"],
)
def test_an_engine_is_not_asked_for_what_it_would_refuse(lack: dict[str, Any]) -> None:
    (made,) = mounts(NEW | lack, bind("/srv"))
    assert "BindOptions" not in made


@pytest.mark.parametrize("host", ["/", "/var/lib", "/var/lib/docker/volumes/x"])
def test_a_path_that_has_the_engines_own_directory_cannot_be_private(host: str) -> None:
    (made,) = mounts(NEW, bind(host))
    assert made["ReadOnly"]
    assert "BindOptions" not in made


def test_a_path_to_write_to_is_asked_for_as_ever() -> None:
    (made,) = mounts(NEW, bind("/srv", read_only=False))
    assert "BindOptions" not in made
    assert not made["ReadOnly"]
