"""The checks for drivers find what a driver leaves behind after a cancelled call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from functools import partial

import pytest

from hsup.api import Measurement, OutputPipes, Settings
from hsup.model import DynoSpec, ExitStatus, Release
from hsup.testing import DriverSuite
from hsup.threads import in_thread


class Dyno:
    address = None

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    async def wait(self) -> ExitStatus:
        code = await in_thread(self.process.wait)
        return ExitStatus(signal=-code) if code < 0 else ExitStatus(code=code)

    async def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        del grace_seconds
        was_running = self.process.poll() is None
        await self.signal(signal.SIGKILL)
        self.process.wait()
        return was_running


class Driver:
    """Waits once after it has started a process."""

    def build(self, release: Release) -> None:
        """Do nothing."""

    async def start(self, spec: DynoSpec, output: OutputPipes) -> Dyno:
        streams = {"stdout": output.stdout, "stderr": output.stderr}
        argv = ("bash", "-c", *spec.command.words)
        begin = partial(subprocess.Popen, argv, start_new_session=True, **streams)
        dyno = Dyno(begin())
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await self.undo(dyno)
        return dyno

    async def undo(self, dyno: Dyno) -> None:
        """Leave nothing behind after a cancelled start."""
        await dyno.destroy()
        raise asyncio.CancelledError


class Forgetful(Driver):
    left: tuple[Dyno, ...] = ()

    async def undo(self, dyno: Dyno) -> None:
        self.left = (*self.left, dyno)
        raise asyncio.CancelledError


class Stubborn(Driver):
    async def undo(self, dyno: Dyno) -> None:
        await dyno.destroy()


class Suite(DriverSuite):
    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def make_driver(self, settings: Settings) -> Driver:
        del settings
        return self._driver


def test_a_driver_that_ends_what_it_has_begun_passes() -> None:
    Suite(Driver()).test_a_start_that_is_cancelled_leaves_nothing()


def test_a_driver_that_leaves_a_process_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsup.testing.driver_suite._TIMEOUT_SECONDS", 1.0)
    driver = Forgetful()
    with pytest.raises(TimeoutError):
        Suite(driver).test_a_start_that_is_cancelled_leaves_nothing()
    (left,) = driver.left
    assert left.process.poll() is None
    asyncio.run(left.destroy())


def test_a_driver_that_goes_on_though_it_was_cancelled_fails() -> None:
    with pytest.raises(AssertionError, match="it kept running"):
        Suite(Stubborn()).test_a_start_that_is_cancelled_leaves_nothing()


class MeasuredDyno(Dyno):
    """Measures what a test says, whatever it really uses."""

    measured: Measurement | None = None

    async def measure(self) -> Measurement | None:
        return self.measured


class Measuring(Driver):
    def __init__(self, measured: Measurement | None) -> None:
        self.measured = measured

    async def start(self, spec: DynoSpec, output: OutputPipes) -> Dyno:
        dyno = MeasuredDyno((await super().start(spec, output)).process)
        dyno.measured = self.measured
        return dyno

    def check_size(self, name: str) -> None:
        """Take any size."""


def test_a_driver_that_cannot_measure_is_not_checked_for_it() -> None:
    suite = Suite(Driver())
    for check in (
        suite.test_a_dyno_that_holds_memory_is_measured,
        suite.test_the_quota_is_that_of_the_size,
    ):
        with pytest.raises(pytest.skip.Exception):
            check()


@pytest.mark.parametrize(
    "measured", [None, Measurement(), Measurement(memory_rss=1), Measurement(memory_rss=1 << 30)]
)
def test_a_driver_that_measures_another_memory_fails(measured: Measurement | None) -> None:
    with pytest.raises(AssertionError):
        Suite(Measuring(measured)).test_a_dyno_that_holds_memory_is_measured()


def test_a_driver_that_measures_another_quota_fails() -> None:
    right = Measurement(memory_quota=1 << 30)
    Suite(Measuring(right)).test_the_quota_is_that_of_the_size()
    for wrong in (Measurement(), Measurement(memory_quota=512 << 20)):
        with pytest.raises(AssertionError):
            Suite(Measuring(wrong)).test_the_quota_is_that_of_the_size()


def test_a_driver_that_measures_what_has_ended_fails() -> None:
    with pytest.raises(AssertionError):
        Suite(Measuring(Measurement())).test_a_dyno_that_has_ended_is_measured_as_nothing()


def test_what_stays_behind_is_named() -> None:
    class Littering(Suite):
        def leftovers(self) -> list[str]:
            self.count = getattr(self, "count", 0) + 1
            return [f"container {self.count}"]

    with pytest.raises(AssertionError, match=r"it left behind: \['container 2'\]"):
        Littering(Driver()).test_a_start_that_is_cancelled_leaves_nothing()
