"""How dynos end: grace period, output, memory, and changes by others."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import docker
import pytest

from hsup.errors import DynoStartError
from hsup.model import ExitStatus, Release
from hsup_driver_docker.containers.position import PositionFile
from hsup_driver_docker.driver import DockerDriver

from .running import run, spec, started


def test_a_dyno_whose_output_cannot_be_read_leaves_nothing(
    driver: DockerDriver, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(
        "hsup_driver_docker.containers.position.PositionFile",
        lambda path: made.append(Path(path)) or PositionFile(path),
    )

    async def check() -> None:
        class NoPipes:
            stdout = stderr = -1

        with pytest.raises(DynoStartError, match="cannot read the output of the dyno: Bad file"):
            await driver.start(spec(release, "sleep 60"), NoPipes())
        (file,) = made
        assert not file.exists()

    run(check())


def test_a_container_that_somebody_removes_has_ended(
    driver: DockerDriver, release: Release, sdk: docker.APIClient
) -> None:
    async def check() -> None:
        async with started(driver, spec(release, "sleep 60")) as (dyno, _):
            sdk.remove_container(dyno.handle.id, force=True)
            assert (await dyno.wait()).status == 137

    run(check())


def test_a_dyno_that_closes_its_outputs_runs_on(driver: DockerDriver, release: Release) -> None:
    async def check() -> None:
        line = "exec >&- 2>&-; sleep 0.5; exit 7"
        async with started(driver, spec(release, line)) as (dyno, recorder):
            assert await recorder.all() == (b"", b"")
            assert await dyno.wait() == ExitStatus(code=7)

    run(check())


def test_processes_that_outlive_the_program_have_the_grace_too(
    driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        child = (
            "(trap 'sleep 0.5; echo tidied; exit' TERM; echo ready; while :; do sleep 0.1; done)"
        )
        async with started(driver, spec(release, f"{child} & sleep 60")) as (dyno, recorder):
            await recorder.until(b"ready")
            await dyno.signal(15)
            assert not await dyno.destroy(30)
            assert (await dyno.wait()).status == 143
            assert (await recorder.all())[0] == b"ready\ntidied\n"

    run(check())


def test_a_dyno_that_takes_too_much_memory_is_killed_as_a_whole(
    driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        line = "tail /dev/zero; echo survived; sleep 60"
        async with started(driver, spec(release, line)) as (dyno, _):
            status = await dyno.wait()
            assert (status.status, status.out_of_memory) == (137, True)

    run(check())


def test_a_reader_that_is_stuck_does_not_keep_a_dyno_from_ending(
    driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        reading, writing = os.pipe()
        errors, other = os.pipe()

        class Stuck:
            stdout, stderr = writing, other

        dyno = await driver.start(spec(release, "yes"), Stuck())
        os.close(writing)
        os.close(other)
        await asyncio.sleep(1)  # so that pipe and socket are full
        await dyno.signal(15)
        await dyno.destroy(1.0)
        os.close(reading)
        os.close(errors)

    run(check())
