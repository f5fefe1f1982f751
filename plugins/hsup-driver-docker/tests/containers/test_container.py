"""The container of a dyno: limits, ports, networks, binds, its name."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing
from pathlib import Path

import docker
import pytest

from hsup.api import Settings
from hsup.errors import DynoStartError
from hsup.model import Bind, Release
from hsup.sizes import SIZES
from hsup_driver_docker.containers import container
from hsup_driver_docker.driver import DockerDriver

from ..running import (  # noqa: TID252 - the name above is no name of a package
    Pipes,
    free_port,
    output_of,
    run,
    spec,
    started,
)


def test_a_dyno_has_no_privileges_and_the_limits_of_its_size(
    driver: DockerDriver, release: Release, sdk: docker.APIClient
) -> None:
    async def check() -> None:
        line = "grep -E 'Cap(Eff|Bnd|Prm)|NoNewPrivs' /proc/self/status; ulimit -n; sleep 60"
        async with started(driver, spec(release, line, size="performance-m")) as (dyno, recorder):
            await recorder.until(b"10000\n")
            assert recorder.so_far.count(b"\t0000000000000000\n") == 3
            assert b"NoNewPrivs:\t1\n" in recorder.so_far
            host = sdk.inspect_container(dyno.handle.id)["HostConfig"]
            size = SIZES["performance-m"]
            assert (host["Memory"], host["PidsLimit"]) == (size.memory, size.pids)
            assert host["CpuShares"] == 1024 * size.weight
            assert len(host["CpusetCpus"].split(",")) == min(2, os.cpu_count() or 1)

    run(check())


def test_the_port_is_published_on_the_loopback_interface(
    driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        port = free_port()
        async with started(driver, spec(release, "sleep 60", port=port)) as (dyno, _):
            assert dyno.address == ("127.0.0.1", port)

    run(check())


def test_a_port_that_is_taken_is_published_as_another_one(
    driver: DockerDriver, release: Release, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with started(driver, spec(release, "sleep 60", port=port)) as (dyno, _):
                assert dyno.address.ip == "127.0.0.1"
                assert dyno.address.port not in {port, 0}
                assert f"port {port} is taken; web.1 is published at 127.0.0.1:" in caplog.text

    run(check())


def test_a_dyno_is_in_the_network_that_was_chosen(
    settings: Settings, release: Release, sdk: docker.APIClient
) -> None:
    name = f"{release.stack}-network"
    sdk.create_network(name)
    environ = {**settings.environ, "DOCKER_NETWORK": name}

    async def check() -> None:
        with closing(DockerDriver(settings._replace(environ=environ))) as driver:
            await asyncio.to_thread(driver.build, release)
            async with started(driver, spec(release, "sleep 60")) as (dyno, _):
                found = sdk.inspect_container(dyno.handle.id)["NetworkSettings"]["Networks"]
                assert list(found) == [name]

    try:
        run(check())
    finally:
        sdk.remove_network(name)


def test_a_path_of_the_host_is_bound(
    driver: DockerDriver, release: Release, tmp_path: Path
) -> None:
    async def check() -> None:
        (tmp_path / "data").mkdir(mode=0o777)
        (tmp_path / "data").chmod(0o777)
        (tmp_path / "data/note").write_text("from outside")
        binds = (
            Bind(tmp_path / "data", Path("/app/data")),
            Bind(tmp_path / "data", Path("/only"), read_only=True),
        )
        line = "cat /app/data/note; echo inside >/app/data/answer; touch /only/x 2>&1"
        out, _ = await output_of(driver, spec(release, line, binds=binds))
        assert out.startswith(b"from outside")
        assert b"Read-only file system" in out
        assert (tmp_path / "data/answer").read_text() == "inside\n"

    run(check())


def test_a_path_that_there_is_not_cannot_be_bound(
    driver: DockerDriver, release: Release, tmp_path: Path
) -> None:
    async def check() -> None:
        binds = (Bind(tmp_path / "nosuch", Path("/x")),)
        with pytest.raises(DynoStartError, match="nosuch"):
            await driver.start(spec(release, "true", binds=binds), Pipes())

    run(check())


def test_names_that_clash_are_no_failure(
    driver: DockerDriver, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = iter(["same", "same", "other"])
    monkeypatch.setattr(container, "new_token", lambda: next(tokens))

    async def check() -> None:
        async with (
            started(driver, spec(release, "sleep 60")) as (one, _),
            started(driver, spec(release, "sleep 60")) as (other, _),
        ):
            assert one.handle.name.endswith("-same")
            assert other.handle.name.endswith("-other")

    run(check())


def test_names_that_always_clash_are(
    driver: DockerDriver, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "new_token", lambda: "same")

    async def check() -> None:
        async with started(driver, spec(release, "sleep 60")):
            with pytest.raises(DynoStartError, match="already in use by container"):
                await driver.start(spec(release, "sleep 60"), Pipes())

    run(check())
