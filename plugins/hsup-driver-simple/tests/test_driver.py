"""What only the simple driver does; the conformance tests check what every driver does."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hsup.api import BindsPaths, RunsForeground, Settings, Sweeps
from hsup.descriptors import allow_many, shortage
from hsup.errors import DynoStartError
from hsup.model import Command, DynoName, DynoSpec, Release, Slug
from hsup.testing import Recorder, dyno_spec
from hsup_driver_simple.descriptors import low_descriptors
from hsup_driver_simple.driver import SimpleDriver


@pytest.fixture
def driver() -> Iterator[SimpleDriver]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield SimpleDriver(Settings(directory=os.getcwd(), environ=dict(os.environ)))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def spec(line: str, *, kind: str = "web", port: int | None) -> DynoSpec:
    release = Release(app="hello", version=1)
    return dyno_spec(release, DynoName(kind, 1), Command(words=(line,)), port=port)


async def output_of(driver: SimpleDriver, one: DynoSpec) -> tuple[Any, tuple[bytes, bytes]]:
    async with Recorder() as recorder:
        dyno = await driver.start(one, recorder)
        recorder.close_writing_ends()
        await dyno.wait()
        await dyno.destroy()
        return dyno.address, await recorder.all()


@pytest.fixture
def two_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return two directories with their names in a file; hsup is started in the second one."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    monkeypatch.chdir(tmp_path / "second")
    return tmp_path / "first", tmp_path / "second"


def read_in(directory: Path, inode: int | None = None) -> DynoSpec:
    slug = Slug(str(directory), inode=inode or directory.stat().st_ino)
    return spec("cat name", kind="worker", port=5000)._replace(slug=slug)


def test_a_dyno_runs_in_the_directory_that_its_release_was_read_from(
    two_directories: tuple[Path, Path],
) -> None:
    driver = SimpleDriver(Settings(directory=str(two_directories[1]), environ=dict(os.environ)))
    for directory in two_directories:
        assert asyncio.run(output_of(driver, read_in(directory)))[1][0] == directory.name.encode()


def test_a_dyno_does_not_start_in_another_directory_than_its_release_was_read_from(
    two_directories: tuple[Path, Path],
) -> None:
    driver = SimpleDriver(Settings(directory=str(two_directories[1]), environ=dict(os.environ)))
    one = read_in(two_directories[0], inode=1)
    with pytest.raises(DynoStartError, match='first" has been replaced since v1 was read; start'):
        asyncio.run(output_of(driver, one))
    two_directories[0].rename(two_directories[0].with_name("moved"))
    with pytest.raises(
        DynoStartError, match=r'cannot enter ".*first": No such file.*; restore the'
    ):
        asyncio.run(output_of(driver, one))


def test_a_slug_that_is_elsewhere_does_not_count(two_directories: tuple[Path, Path]) -> None:
    driver = SimpleDriver(Settings(directory=str(two_directories[1]), environ=dict(os.environ)))
    one = read_in(two_directories[0])._replace(slug=Slug(str(two_directories[0])))
    assert asyncio.run(output_of(driver, one))[1][0] == b"second"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_it_sweeps_and_runs_in_the_foreground_and_binds_nothing(driver: SimpleDriver) -> None:
    assert isinstance(driver, Sweeps)
    assert isinstance(driver, RunsForeground)
    assert not isinstance(driver, BindsPaths)


@pytest.mark.parametrize("kind", ["web", "worker"])
def test_a_dyno_is_started_whose_port_is_taken(
    driver: SimpleDriver, taken_port: int, kind: str
) -> None:
    one = spec("echo $PORT", kind=kind, port=taken_port)
    _, (out, _) = asyncio.run(output_of(driver, one))
    assert out == b"%d\n" % taken_port


def test_the_address_is_on_the_loopback(driver: SimpleDriver) -> None:
    address, _ = asyncio.run(output_of(driver, spec("true", kind="worker", port=5999)))
    assert (address.ip, address.port) == ("127.0.0.1", 5999)


def test_a_dyno_has_the_limit_of_open_files_that_hsup_had(driver: SimpleDriver) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _, (out, _) = asyncio.run(output_of(driver, spec("ulimit -Sn", kind="worker", port=5999)))
    assert int(out) == soft


def test_a_dyno_has_no_descriptor_of_hsup_but_its_three_streams(driver: SimpleDriver) -> None:
    for inherited in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2}:
        try:
            os.set_inheritable(inherited, False)
        except OSError:  # the one that listed the directory
            pass
    line = "ls /proc/self/fd | sort -n | tr '\\n' ' '"
    _, (out, _) = asyncio.run(output_of(driver, spec(line, kind="worker", port=5999)))
    assert out == b"0 1 2 3 "  # 3 is the directory that ls reads


def test_signals_that_python_ignores_are_not_ignored_in_a_dyno(driver: SimpleDriver) -> None:
    line = "yes | head -1; echo ${PIPESTATUS[0]}"
    _, (out, _) = asyncio.run(output_of(driver, spec(line, kind="worker", port=5999)))
    assert out == b"y\n141\n"


@pytest.mark.usefixtures("driver")
def test_a_dyno_starts_though_its_pipes_are_above_its_limit_of_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = max(map(int, os.listdir("/proc/self/fd"))) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    limited = SimpleDriver(Settings(directory=os.getcwd(), environ=dict(os.environ)))
    allow_many()  # as hsup does
    filling = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]
    try:
        one = spec("ulimit -Sn", kind="worker", port=5999)
        _, (out, _) = asyncio.run(output_of(limited, one))
        assert out == f"{low}\n".encode()
    finally:
        for descriptor in filling:
            os.close(descriptor)


def test_a_dyno_that_cannot_have_its_output_is_refused_as_files_are_what_it_lacks(
    driver: SimpleDriver,
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def start_limited() -> None:
        async with Recorder() as recorder:
            resource.setrlimit(resource.RLIMIT_NOFILE, (low_descriptors().highest, hard))
            await driver.start(spec("true", kind="worker", port=5999), recorder)

    with pytest.raises(OSError, match="Too many open files") as caught:
        asyncio.run(start_limited())
    assert shortage(caught.value) == "too many open files"


def test_a_dyno_is_destroyed_where_no_more_files_may_be_open(driver: SimpleDriver) -> None:
    async def check(filling: list[int]) -> None:
        async with Recorder() as recorder, asyncio.timeout(60):
            dyno = await driver.start(spec("sleep 600", kind="worker", port=5999), recorder)
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (low_descriptors().highest + 20, hard))
            with suppress(OSError):  # too many open files
                while True:
                    filling.append(os.open(os.devnull, os.O_RDONLY))
            assert await dyno.destroy()
            assert (await dyno.wait()).signal == 9

    filling: list[int] = []
    try:
        asyncio.run(check(filling))
    finally:
        for descriptor in filling:
            os.close(descriptor)


def test_a_dyno_whose_first_process_lost_its_mark_is_stopped(driver: SimpleDriver) -> None:
    line = "ulimit -S -x 5; trap '' TERM; echo ready; while :; do sleep 600; done"

    async def check() -> None:
        async with Recorder() as recorder, asyncio.timeout(60):
            dyno = await driver.start(spec(line, kind="worker", port=5999), recorder)
            recorder.close_writing_ends()
            await recorder.until(b"ready")
            assert await dyno.destroy(0.1)
            assert (await dyno.wait()).signal == 9

    asyncio.run(check())
