"""The description of how a dyno is started, which needs no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Settings
from hsup.errors import DriverError
from hsup.model import Bind, Command, DynoName, Release, Slug
from hsup.testing import dyno_spec
from hsup_driver_docker.driver import DockerDriver


def explain(
    tmp_path: Path, *, environ: Mapping[str, str] | None = None, **given: Any
) -> Sequence[str]:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none", **(environ or {})}
    driver = DockerDriver(Settings(directory=str(tmp_path), environ=nowhere))
    one = Release(app="app", version=1, slug=Slug("/srv/shop"))
    spec = dyno_spec(one, DynoName("web", 1), Command(("./serve",)), port=5000)
    return driver.explain(spec._replace(**given))


def test_the_image_has_stack_and_slug(tmp_path: Path) -> None:
    first, second, *_ = explain(tmp_path)
    assert first == (
        "build an image from heroku/heroku:24, with /srv/shop in /app, unless there is one"
    )
    assert second.startswith("create a container")
    environ = {"DOCKER_STACKS": "own=registry/own:1"}
    assert (
        "from registry/own:1, unless"
        in explain(tmp_path, environ=environ, slug=None, stack="own")[0]
    )


def test_options_are_those_of_the_engine_api(tmp_path: Path) -> None:
    binds = (Bind(Path("/srv"), Path("/data"), read_only=True),)
    found = explain(tmp_path, size="standard-2x", binds=binds)
    mount = '{"Type": "bind", "Source": "/srv", "Target": "/data", "ReadOnly": true}'
    assert {
        f"with Memory {1 << 30}",
        'with CapDrop ["ALL"]',
        f"with Mounts [{mount}]",
        'with PortBindings {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}]}',
    } <= {*found}
    assert not any(one.startswith("with CpusetCpus") for one in found)


def test_what_the_user_has_set_is_heeded(tmp_path: Path) -> None:
    environ = {"DOCKER_NETWORK": "own", "DOCKER_PUBLISH": "0.0.0.0"}
    found = explain(tmp_path, environ=environ, size="performance-m")
    assert 'with NetworkMode "own"' in found
    assert any('"HostIp": "0.0.0.0"' in one for one in found)
    assert 'with CpusetCpus "2 of the engine\'s cpus"' in found


def test_a_stack_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="nosuch"):
        explain(tmp_path, stack="nosuch")
