"""What happens if no more threads can be started."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from hsup.errors import TooManyProcesses
from hsup.model import Command, ExitStatus, Release
from hsup.testing import Recorder
from hsup_driver_docker.driver import DockerDriver

from .running import run, spec, started


def test_a_dyno_has_its_grace_where_no_more_threads_may_be_had(
    driver: DockerDriver, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses threads at the process limit."""

    async def check() -> None:
        line = "trap 'echo tidied; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        async with started(driver, spec(release, "/bin/sh", "-c", line)) as (dyno, recorder):
            await recorder.until(b"ready")
            begin = threading.Thread.start

            def refuse_all_but_the_first(thread: threading.Thread) -> None:
                if threading.current_thread() is not threading.main_thread():
                    raise RuntimeError("can't start new thread")
                begin(thread)

            monkeypatch.setattr(threading.Thread, "start", refuse_all_but_the_first)
            await dyno.signal(15)
            monkeypatch.undo()
            assert await dyno.destroy(30) is False
            assert await dyno.wait() == ExitStatus(3)
            assert (await recorder.all())[0] == b"ready\ntidied\n"

    run(check())


@pytest.fixture
def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which no thread can be started, as at the process limit."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_dyno_is_stopped_where_no_thread_may_be_had_at_all(
    driver: DockerDriver, release: Release, refuse_threads: Callable[[], None]
) -> None:
    async def check() -> None:
        line = "trap 'echo tidied; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        async with started(driver, spec(release, "/bin/sh", "-c", line)) as (dyno, recorder):
            await recorder.until(b"ready")
            refuse_threads()
            await dyno.signal(15)
            assert await dyno.destroy(30) is False
            assert await dyno.wait() == ExitStatus(3)
            assert (await recorder.all())[0] == b"ready\ntidied\n"

    run(check())


def test_a_start_without_a_thread_is_told_and_leaves_nothing(
    driver: DockerDriver, release: Release, refuse_threads: Callable[[], None]
) -> None:
    async def check() -> None:
        refuse_threads()
        with pytest.raises(TooManyProcesses, match="ulimit -u"):
            async with Recorder() as recorder:
                await driver.start(spec(release, "sleep 60"), recorder)

    run(check())


def test_a_command_without_a_thread_is_told_and_never_run(
    driver: DockerDriver, release: Release, refuse_threads: Callable[[], None]
) -> None:
    async def check() -> None:
        async with started(driver, spec(release, "sleep 60")) as (dyno, _), Recorder() as recorder:
            streams = (recorder.stdout, recorder.stdout, recorder.stderr)
            before = set(os.listdir("/proc/self/fd"))
            refuse_threads()
            with pytest.raises(TooManyProcesses, match="ulimit -u"):
                await dyno.execute(Command(("touch", "/tmp/executed")), streams)
            assert set(os.listdir("/proc/self/fd")) == before
            assert dyno.handle.engine.count(dyno.handle.id) <= 2  # its init and its program

    run(check())
