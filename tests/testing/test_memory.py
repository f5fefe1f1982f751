"""The objects in memory of hsup.testing fulfil the contracts."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from hsup.api import (
    Driver,
    Fetched,
    KeepsReleases,
    LogEvent,
    LogSink,
    Measurement,
    Measures,
    RunningDyno,
    Source,
    SupervisorView,
)
from hsup.errors import DriverError, DynoStartError, SourceError
from hsup.events import DynoExited, DynoStateChanged, SupervisorStopping
from hsup.lifecycle import State
from hsup.model import DynoName, ExitStatus
from hsup.testing import (
    EventRecorder,
    MemoryDriver,
    MemoryDyno,
    MemorySink,
    MemorySource,
    MemorySupervisor,
    Recorder,
    make_batch,
    make_release,
    make_spec,
)


def test_a_release_has_the_types_that_are_named() -> None:
    release = make_release(version=3, config={"A": "1"}, web=2, worker=0)
    assert (str(release), release.config) == ("v3 of shop", {"A": "1"})
    types = [(one.name, str(one.command), one.quantity) for one in release.processes]
    assert types == [("web", "serve web", 2), ("worker", "serve worker", 0)]


def test_a_spec_has_the_name_and_command_of_a_dyno() -> None:
    spec = make_spec("worker.12", "work", port=None)
    assert (str(spec.name), str(spec.command), spec.port) == ("worker.12", "work", None)


class TestDriver:
    async def test_a_dyno_writes_and_ends_as_the_test_says(self) -> None:
        driver: Driver = MemoryDriver()
        driver.build(make_release(web=1))
        async with Recorder() as recorder:
            dyno = await driver.start(make_spec("web.1"), recorder)
            recorder.close_writing_ends()
            assert isinstance(dyno, MemoryDyno)
            dyno.write(b"hello\n")
            dyno.end(3)
            dyno.end(4)
            assert await recorder.all() == (b"hello\n", b"")
        assert await dyno.wait() == ExitStatus(code=3)

    @pytest.mark.parametrize("obeys", [True, False])
    async def test_a_dyno_may_obey_signals_or_has_to_be_killed(self, obeys: bool) -> None:
        async with Recorder() as output:
            dyno: RunningDyno = MemoryDyno(make_spec(), output, obeys=obeys)
            await dyno.signal(signal.SIGTERM)
            assert await dyno.destroy(grace_seconds=0.001) is not obeys
            number = signal.SIGTERM if obeys else signal.SIGKILL
            assert await dyno.wait() == ExitStatus(signal=number)

    async def test_a_dyno_uses_what_the_test_says_until_it_has_ended(self) -> None:
        async with Recorder() as output:
            dyno = MemoryDyno(make_spec(), output)
            dyno.measured = Measurement(memory_rss=7)
            assert isinstance(dyno, Measures)
            assert await dyno.measure() == Measurement(memory_rss=7)
            dyno.end()
            assert await dyno.measure() is None

    @pytest.mark.parametrize("method", ["wait", "signal", "measure", "destroy"])
    async def test_every_method_of_a_dyno_may_fail(self, method: str) -> None:
        async with Recorder() as output:
            dyno = MemoryDyno(make_spec(), output)
            setattr(dyno, f"{method}_fault", DriverError("away"))
            with pytest.raises(DriverError, match="away"):
                await getattr(dyno, method)(*[signal.SIGTERM] * (method == "signal"))
            dyno.end()

    async def test_builds_and_starts_fail_as_often_as_they_are_to(self) -> None:
        driver = MemoryDriver()
        driver.build_failures = [DriverError("no space")]
        driver.failures = [DynoStartError("no such command")]
        with pytest.raises(DriverError, match="no space"):
            driver.build(make_release(web=1))
        driver.build(make_release(web=1))
        async with Recorder() as output:
            with pytest.raises(DynoStartError):
                await driver.start(make_spec(), output)
            await driver.start(make_spec(), output)
        await driver.attempted(2)
        assert (driver.built, driver.attempts) == ([make_release(web=1)], 2)

    async def test_a_dyno_is_given_once_it_is_started(self) -> None:
        driver = MemoryDriver()
        driver.statuses = {"release": 7}
        driver.may_start.clear()
        async with Recorder() as output:
            starting = asyncio.create_task(driver.start(make_spec("release.1"), output))
            await driver.attempted(1)
            assert not driver.started["release.1"]
            driver.may_start.set()
            assert await driver.dyno("release.1") is await starting
            assert await (await starting).wait() == ExitStatus(code=7)


class TestSource:
    async def test_a_change_comes_at_the_start_and_with_each_answer(self) -> None:
        source = MemorySource()
        known: Source = source
        changes = known.changes()
        await anext(changes)
        assert known.fetch() == Fetched(release=None)
        release = source.release(web=1)
        await anext(changes)
        assert known.fetch() == Fetched(release=release)
        source.give(SourceError("away"), silently=True)
        with pytest.raises(SourceError):
            known.fetch()
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.wait([waiting], timeout=0.01)
        assert (waiting.done(), source.fetches) == (False, 3)
        waiting.cancel()

    async def test_releases_are_kept_where_they_are_to_be(self) -> None:
        source = MemorySource()
        assert not isinstance(source, KeepsReleases)
        kept = source.keep_releases()
        assert isinstance(source, KeepsReleases)
        assert source.kept() is None
        source.keep(make_release(web=1))
        assert kept == [make_release(web=1)]
        assert source.kept() == kept[0]


async def test_a_sink_keeps_what_it_is_given_and_is_full_for_as_long_as_it_is_to_be() -> None:
    sink = MemorySink()
    known: LogSink = sink
    arriving = asyncio.create_task(sink.until(lambda one: one.written()))
    known.write(make_batch(b"one\n"))
    known.write(make_batch(b"two\n", stream="stderr", dyno="web.2"))
    known.write(make_batch(b"Starting\n", source="hsup"))
    known.write(make_batch(b"Release v1 created\n", dyno="api", event=LogEvent("release_received")))
    await arriving
    assert sink.written() == b"one\ntwo\n"
    assert (sink.written(stream="stderr"), sink.written(dyno="web.1")) == (b"two\n", b"one\n")
    assert (sink.said("web.1"), sink.said("web.2")) == (["Starting"], [])
    assert sink.said(source="app") == ["Release v1 created"]
    sink.room.clear()
    assert known.is_full
    sink.room.set()
    await known.drained()
    await known.close()
    assert sink.is_closed


async def test_events_are_kept_and_waited_for() -> None:
    told, name = EventRecorder(), DynoName("web", 1)
    waiting = asyncio.create_task(told.state("web.1", "up"))
    told(DynoStateChanged(dyno=name, before=State.STARTING, after=State.UP))
    await waiting
    told(DynoExited(dyno=name, status=ExitStatus(code=1)))
    told(SupervisorStopping(reason="done"))
    assert (told.states("web.1"), told.states("web.2")) == (["up"], [])
    assert told.statuses("web.1") == [ExitStatus(code=1)]
    assert told.of(SupervisorStopping) == [SupervisorStopping(reason="done")]


def test_a_supervisor_has_the_dynos_that_it_is_to_have() -> None:
    supervisor = MemorySupervisor(**{"web.1": "up"})
    known: SupervisorView = supervisor
    known.reload()
    assert (known.dynos(), supervisor.reloads) == ({"web.1": "up"}, 1)


def test_it_takes_no_more_than_pytest() -> None:
    code = "import sys, hsup.testing; print(*sorted({'hypothesis', 'click'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"\n"
