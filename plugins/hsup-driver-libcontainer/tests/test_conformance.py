from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from hsup.api import Driver, ExecutesInside, Settings
from hsup.model import Command, DynoName, ExitStatus
from hsup.testing import DriverSuite, Recorder
from hsup_driver_libcontainer.driver import LibcontainerDriver


class TestLibcontainerDriver(DriverSuite):
    @pytest.fixture(autouse=True)
    def _environ(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def make_driver(self, settings: Settings) -> LibcontainerDriver:
        return LibcontainerDriver(settings._replace(environ=self.environ))

    def leftovers(self) -> Collection[str]:
        """The instance file of an hsup stays while it has cgroups."""
        return list(map(str, Path(self.environ["LIBCONTAINER_RUN_DIR"]).glob("instances/*")))

    def test_a_command_that_does_not_exist_is_an_error_127(self) -> None:
        """bash looks it up in the dyno, once .profile.d has set PATH, and exits with 127."""
        assert self._status_of("nosuch").code == 127
        assert self._status_of("/etc/passwd").code == 126

    def test_a_command_is_executed_beside_the_dyno_with_its_user_and_limits(self) -> None:
        async def check(driver: Driver) -> None:
            async with self._started(driver, "sleep 60") as (dyno, _), Recorder() as recorder:
                assert isinstance(dyno, ExecutesInside)
                null = os.open(os.devnull, os.O_RDONLY)
                command = Command(("id -un; grep CapEff /proc/self/status; exit 7",))
                streams = (null, recorder.stdout, recorder.stderr)
                execution = await dyno.execute(command, streams)
                os.close(null)
                recorder.close_writing_ends()
                assert await execution.wait() == ExitStatus(code=7)
                out, _ = await recorder.all()
                assert out == b"dyno\nCapEff:\t0000000000000000\n"

        self._run(check)

    def test_dynos_that_start_at_once_have_users_and_addresses_of_their_own(self) -> None:
        async def check(driver: Driver) -> None:
            specs = [self._spec("sleep", "60")._replace(name=DynoName("web", n)) for n in range(20)]
            async with Recorder() as recorder:
                dynos = await asyncio.gather(*(driver.start(one, recorder) for one in specs))
                assert len({dyno.address.ip for dyno in dynos}) == len(dynos)
                await asyncio.gather(*(dyno.destroy() for dyno in dynos))

        self._run(check)
