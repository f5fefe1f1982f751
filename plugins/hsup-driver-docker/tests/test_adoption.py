"""The leftovers of an hsup that was killed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import docker
import pytest

from hsup.api import Settings
from hsup.model import DynoSpec, Release
from hsup.testing import Recorder
from hsup_driver_docker.containers.handle import Handle
from hsup_driver_docker.driver import DockerDriver
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import EngineError, EngineUnreachable
from hsup_driver_docker.images.image import Image

from .running import Pipes, free_port, run, spec, started

#: Starts a dyno as an hsup does, and is killed when it has read a text.
KILLED_HSUP = """
import asyncio, json, os, sys
from pathlib import Path
from hsup.api import Settings
from hsup.model import Command, DynoName, Release
from hsup.terminal import write_all
from hsup.testing import Recorder, dyno_spec
from hsup_driver_docker.driver import DockerDriver
from hsup_driver_docker.containers.handle import Handle

environ, app, stack, line, port, until = json.loads(sys.argv[1])

async def main():
    driver = DockerDriver(Settings(directory="/", environ=environ))
    release = Release(app=app, version=3, stack=stack)
    driver.build(release)
    async with Recorder() as recorder:
        spec = dyno_spec(release, DynoName("web", 1), Command((line,)), port=port)
        dyno = await driver.start(spec, recorder)
        if until:
            await recorder.until(until.encode())
        else:
            await dyno.wait()
        last = recorder.so_far.decode().split()[-1:]
        print(dyno.handle.name, dyno.address and dyno.address.port, *last, flush=True)
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.fixture
def killed(settings: Settings, release: Release) -> Callable[..., str]:
    """Run a line in an hsup that is killed; return the container and its port."""

    def run_killed(line: str, until: str, port: int | None = None) -> str:
        told = [dict(settings.environ), release.app, release.stack, line, port, until]
        words = [sys.executable, "-c", KILLED_HSUP, json.dumps(told)]
        return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout

    return run_killed


def test_a_running_dyno_is_taken_over_with_what_it_wrote_meanwhile(
    killed: Callable[..., str], driver: DockerDriver, release: Release
) -> None:
    line = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"
    port = free_port()
    _, published, last = killed(line, "\n20\n", port).split()
    wanted = spec(release, line, port=port)

    async def check() -> None:
        await asyncio.sleep(0.5)
        assert driver.sweep() == []
        assert driver.keep_only([wanted]) == []
        async with Recorder() as recorder:
            dyno = await driver.adopt(wanted, recorder)
            recorder.close_writing_ends()
            assert dyno.address == ("127.0.0.1", int(published))
            await recorder.until(b"\n100\n")
            assert await driver.adopt(wanted, Pipes()) is None
            await dyno.signal(15)
            assert not await dyno.destroy(10)
            assert (await dyno.wait()).status == 143
            out, _ = await recorder.all()
        numbers = [int(one) for one in out.split()]
        assert numbers[0] <= int(last) + 1
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    run(check())


@pytest.mark.parametrize("error", [EngineUnreachable("gone"), EngineError("down", status=503)])
def test_an_engine_that_fails_at_it_is_asked_again(
    killed: Callable[..., str],
    driver: DockerDriver,
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    error: EngineUnreachable | EngineError,
) -> None:
    line = "echo ready; sleep 60"
    name = killed(line, "ready").split()[0]
    wanted = spec(release, line)

    def fail(*_: object) -> None:
        monkeypatch.undo()
        raise error

    async def check() -> None:
        driver.sweep()
        driver.keep_only([wanted])
        monkeypatch.setattr("hsup_driver_docker.containers.handle.Handle.resume", fail)
        async with Recorder() as recorder:
            with pytest.raises(type(error)):
                await driver.adopt(wanted, recorder)
            dyno = await driver.adopt(wanted, recorder)
            recorder.close_writing_ends()
            assert dyno.handle.name == name
            await dyno.destroy()

    run(check())


def test_what_was_kept_is_kept_when_that_is_asked_for_again(
    killed: Callable[..., str], driver: DockerDriver, release: Release
) -> None:
    line = "echo ready; sleep 60"
    name = killed(line, "ready").split()[0]
    wanted = spec(release, line)
    driver.sweep()
    assert driver.keep_only([wanted]) == []
    assert driver.keep_only([wanted]) == []
    assert driver.keep_only([spec(release, "true")]) == [f"the container {name}"]


def test_what_would_run_differently_is_removed(
    killed: Callable[..., str], driver: DockerDriver, release: Release
) -> None:
    line = "echo ready; sleep 60"
    name = killed(line, "ready").split()[0]
    changed = spec(release, line, config={"A": "1"})

    async def check() -> None:
        assert driver.sweep() == []
        assert driver.keep_only([changed]) == [f"the container {name}"]
        assert await driver.adopt(changed, Pipes()) is None

    run(check())


def test_what_has_ended_is_removed_at_once(
    killed: Callable[..., str], driver: DockerDriver
) -> None:
    name = killed("exit 3", None).split()[0]
    assert driver.sweep() == [f"the container {name}"]


def test_what_an_hsup_that_has_left_could_not_remove_is_removed_without_a_word(
    killed: Callable[..., str], driver: DockerDriver, engine: Engine, tmp_path: Path
) -> None:
    name = killed("exit 3", None).split()[0]
    for directory in tmp_path.glob("docker/*/instances/*"):
        shutil.rmtree(directory)
    assert driver.sweep() == []
    assert all(f"/{name}" not in one["Names"] for one in engine.containers("hsup.owner"))


def test_a_running_dyno_is_taken_over_also_where_its_owners_directory_is_lost(
    killed: Callable[..., str], driver: DockerDriver, release: Release, tmp_path: Path
) -> None:
    line = "echo ready; sleep 60"
    killed(line, "ready")
    for directory in tmp_path.glob("docker/*/instances/*"):
        shutil.rmtree(directory)
    wanted = spec(release, line)

    async def check() -> None:
        assert driver.sweep() == []
        assert driver.keep_only([wanted]) == []
        async with Recorder() as recorder:
            dyno = await driver.adopt(wanted, recorder)
            recorder.close_writing_ends()
            await dyno.destroy()

    run(check())


def test_what_nobody_has_taken_over_is_there_for_the_next(
    killed: Callable[..., str], settings: Settings, driver: DockerDriver
) -> None:
    line = "echo ready; sleep 60"
    name = killed(line, "ready").split()[0]
    with closing(DockerDriver(settings)) as other:
        assert other.sweep() == []
    assert driver.sweep() == []
    assert driver.keep_only([]) == [f"the container {name}"]


def test_what_a_living_hsup_has_is_left_alone(
    settings: Settings, driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        with closing(DockerDriver(settings)) as other:
            other.build(release)
            wanted = spec(release, "sleep 60")
            async with started(other, wanted) as (dyno, _):
                assert driver.sweep() == []
                assert driver.keep_only([]) == []
                assert await driver.adopt(wanted, Pipes()) is None
                assert dyno.handle.state().is_running

    run(check())


async def image_of(driver: DockerDriver, wanted: DynoSpec) -> str:
    """Return the image of a dyno."""
    async with started(driver, wanted) as (dyno, _):
        return dyno.handle.image.id


def test_nothing_that_is_not_hsups_is_touched(
    killed: Callable[..., str], driver: DockerDriver, release: Release, sdk: docker.APIClient
) -> None:
    """Not even containers of hsup's images, or of an image made from a dyno, with its labels."""
    line = "echo ready; sleep 60"
    dyno = killed(line, "ready").split()[0]
    copy = sdk.commit(dyno, "copy", release.app)["Id"]
    image = sdk.inspect_container(dyno)["Image"]
    others = [sdk.create_container(one, ["sleep", "60"])["Id"] for one in (image, copy)]
    try:
        for other in others:
            sdk.start(other)
        assert driver.sweep() == []
        assert driver.keep_only([spec(release, "true")]) == [f"the container {dyno}"]
        assert all(sdk.inspect_container(one)["State"]["Running"] for one in others)
        built = asyncio.run(image_of(driver, spec(release, "true")))
        assert built == image
    finally:
        for other in others:
            sdk.remove_container(other, force=True)
        sdk.remove_image(copy)


def test_dynos_of_another_application_are_left_to_its_hsup(
    killed: Callable[..., str], settings: Settings, driver: DockerDriver, release: Release
) -> None:
    line = "echo ready; sleep 60"
    name = killed(line, "ready").split()[0]
    other = release._replace(app="another")
    with closing(DockerDriver(settings)) as another:
        another.build(other)
        assert another.sweep() == []
        assert another.keep_only([spec(other, line)]) == []
        assert driver.sweep() == []
        assert driver.keep_only([]) == [f"the container {name}"]


def test_a_dyno_that_was_ending_has_ended_when_it_is_taken_over(
    killed: Callable[..., str], driver: DockerDriver, release: Release, engine: Engine
) -> None:
    """Its hsup was killed between SIGTERM and the end of all processes."""
    line = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    name = killed(line, "ready").split()[0]
    handle = Handle(engine, name, name, spec(release, line), Image("sha256:0"))
    finish = handle.end(15)
    wanted = spec(release, line)

    async def check() -> None:
        driver.sweep()
        driver.keep_only([wanted])
        async with Recorder() as recorder:
            dyno = await driver.adopt(wanted, recorder)
            if dyno is not None:
                assert (await dyno.wait()).status == 3
                await dyno.destroy()

    run(check())
    finish()
