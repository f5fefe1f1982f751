"""Builds that are running when hsup ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import DriverError
from hsup.model import Release, Slug
from hsup_driver_docker.driver import DockerDriver
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.images.sdk import Sdk


def test_a_build_that_is_under_way_at_the_end_leaves_no_container(
    settings: Settings, release: Release, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        begun.set()
        may_go_on.wait()
        raise OSError

    monkeypatch.setattr("hsup_driver_docker.images.sdk.Sdk._fill", wait)
    driver = DockerDriver(settings)

    def build() -> None:
        with suppress(OSError):
            driver.build(release)

    before = build_containers(engine)
    building = threading.Thread(target=build, daemon=True)
    building.start()
    try:
        assert begun.wait(60)
        driver.close()
        assert build_containers(engine) <= before
    finally:
        may_go_on.set()
        building.join()


def build_containers(engine: Engine) -> set[str]:
    found = engine.containers("hsup.owner")
    return {one["Id"] for one in found if "hsup-build-" in "".join(one["Names"])}


def test_an_upload_that_is_under_way_at_the_end_is_broken_off(
    settings: Settings,
    release: Release,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An engine removes a container only after an upload to it."""
    begun, closed = threading.Event(), threading.Event()
    slug = tmp_path / "slug"
    slug.mkdir()
    for number in range(64):
        (slug / str(number)).write_bytes(os.urandom(1 << 20))
    before = build_containers(engine)
    driver = DockerDriver(settings)
    closes = Sdk.close

    def close(sdk: Sdk) -> None:
        closed.set()
        closes(sdk)

    def wait(size: int) -> None:
        written.append(size)
        begun.set()
        closed.wait(60)

    @contextmanager
    def slow_bar(*_: object) -> Iterator[Callable[[int], None]]:
        yield wait

    monkeypatch.setattr("hsup_driver_docker.images.sdk.bar", slow_bar)
    monkeypatch.setattr(Sdk, "close", close)
    failed: list[DriverError] = []
    written: list[int] = []

    def build() -> None:
        try:
            driver.build(release._replace(slug=Slug(str(slug))))
        except DriverError as error:
            failed.append(error)

    building = threading.Thread(target=build, daemon=True)
    building.start()
    assert begun.wait(60)
    driver.close()
    building.join()
    assert failed
    assert sum(written) < 32 << 20  # of 64
    assert build_containers(engine) <= before
