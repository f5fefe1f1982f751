"""Run dynos of a driver as hsup does."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from hsup.model import Command, DynoName, DynoSpec, Release
from hsup.testing import Recorder, dyno_spec
from hsup_driver_docker.driver import DockerDriver
from hsup_driver_docker.dyno import DockerDyno


def run(check: Coroutine[object, object, None]) -> None:
    """Run a check on a new loop, with a time limit."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await check

    asyncio.run(limited())


def spec(
    release: Release, *words: str, number: int = 1, port: int | None = None, **fields: Any
) -> DynoSpec:
    """Make the spec of a dyno: a line for the shell, or several words."""
    made = dyno_spec(release, DynoName("web", number), Command(words), port=port)
    return made._replace(**fields)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def started(
    driver: DockerDriver, wanted: DynoSpec
) -> AsyncIterator[tuple[DockerDyno, Recorder]]:
    """Yield a running dyno, with its output."""
    async with Recorder() as recorder:
        dyno = await driver.start(wanted, recorder)
        recorder.close_writing_ends()
        try:
            yield dyno, recorder
        finally:
            await dyno.destroy()


async def output_of(driver: DockerDriver, wanted: DynoSpec) -> tuple[bytes, bytes]:
    """Return all that a dyno writes to its outputs until it ends."""
    async with started(driver, wanted) as (dyno, recorder):
        await dyno.wait()
        await dyno.destroy()
        return await recorder.all()


class Pipes:
    """Output pipes without a reader."""

    def __init__(self) -> None:
        self._file = open(os.devnull, "wb")  # noqa: SIM115 - closed with the object
        self.stdout = self.stderr = self._file.fileno()

    def __del__(self) -> None:
        self._file.close()
