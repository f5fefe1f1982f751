"""Exec'd commands."""

from __future__ import annotations

import asyncio
import os

from hsup.model import Command, ExitStatus, Release
from hsup.terminal import write_all
from hsup.testing import Recorder
from hsup_driver_docker.driver import DockerDriver

from .running import run, spec, started


def test_a_lot_is_passed_through_a_command_inside_the_dyno(
    driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        async with started(driver, spec(release, "sleep 60")) as (dyno, _), Recorder() as recorder:
            reading, writing = os.pipe()
            streams = (reading, recorder.stdout, recorder.stderr)
            execution = await dyno.execute(Command(("cat",)), streams)
            os.close(reading)
            recorder.close_writing_ends()
            data = os.urandom(3_000_000)
            await asyncio.to_thread(write_all, writing, data)
            os.close(writing)
            assert await execution.wait() == ExitStatus()
            assert (await recorder.all())[0] == data

    run(check())
