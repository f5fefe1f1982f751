from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from hsup.api import Driver, ExecutesInside, Settings
from hsup.model import Command, DynoName, ExitStatus, Release
from hsup.testing import DriverSuite, Recorder
from hsup_driver_docker.driver import DockerDriver


class TestDockerDriver(DriverSuite):
    @pytest.fixture(autouse=True)
    def _environ(self, environ: Mapping[str, str], stack: str) -> None:
        self.environ = environ
        self.stack = stack.partition(":")[0]

    def make_driver(self, settings: Settings) -> DockerDriver:
        return DockerDriver(settings._replace(environ=self.environ))

    def release(self) -> Release:
        return super().release()._replace(stack=self.stack)

    def leftovers(self) -> Collection[str]:
        """The directory of an instance exists while it has containers."""
        return list(map(str, Path(self.environ["HSUP_DOCKER_DIR"]).glob("*/instances/*")))

    def test_a_command_that_does_not_exist_is_an_error_127(self) -> None:
        """bash searches for it in the dyno, after .profile.d has set PATH, and exits with 127."""
        assert self._status_of("nosuch").code == 127
        assert self._status_of("/etc/passwd").code == 126

    def test_a_command_is_executed_beside_the_dyno_with_its_user_and_limits(self) -> None:
        async def check(driver: Driver) -> None:
            async with self._started(driver, "sleep 60") as (dyno, _), Recorder() as recorder:
                assert isinstance(dyno, ExecutesInside)
                null = os.open(os.devnull, os.O_RDONLY)
                line = "id -un; grep -E 'CapEff|NoNewPrivs' /proc/self/status; echo oh >&2; exit 7"
                streams = (null, recorder.stdout, recorder.stderr)
                execution = await dyno.execute(Command((line,)), streams)
                os.close(null)
                recorder.close_writing_ends()
                assert await execution.wait() == ExitStatus(code=7)
                out, err = await recorder.all()
                assert out == b"dyno\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
                assert err == b"oh\n"

        self._run(check)

    def test_dynos_that_start_at_once_have_containers_and_ports_of_their_own(self) -> None:
        async def check(driver: Driver) -> None:
            specs = [
                self._spec("sleep", "60")._replace(name=DynoName("web", n), port=5900 + n)
                for n in range(10)
            ]
            async with Recorder() as recorder:
                dynos = await asyncio.gather(*(driver.start(one, recorder) for one in specs))
                assert len({dyno.address for dyno in dynos}) == len(dynos)
                await asyncio.gather(*(dyno.destroy() for dyno in dynos))

        self._run(check)
