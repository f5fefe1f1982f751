from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from hsup.api import Fetched, LogBatch, Measurement
from hsup.errors import DriverError
from hsup.model import Release
from hsup.output.logs import LogRouter
from hsup.output.metrics import figures
from hsup.supervision.runtime_metrics import PERIOD_SECONDS, RuntimeMetrics
from hsup.testing import MemoryDriver, MemorySink, MemorySource, make_release, make_spec
from tests.conftest import TurnUntil
from tests.supervision.supervised import Supervise, end

MIB = 1 << 20
USED = Measurement(memory_rss=21 * MIB, memory_quota=512 * MIB, runnable=2)


class Clock:
    """A clock that a test moves: each sleeper wakes up when its time has come."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    async def pass_(self, seconds: float) -> None:
        """Let time pass, and everyone do what is due."""
        self.now += seconds
        for moment, woken in self._sleepers:
            if moment <= self.now:
                woken.set()
        for _ in range(20):
            await asyncio.sleep(0)


class Dyno:
    """A dyno that uses what a test says; unset, `may_answer` keeps it from answering."""

    address = None

    def __init__(self, measured: Measurement | None = USED) -> None:
        self.measured = measured
        self.fault: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def measure(self) -> Measurement | None:
        await self.may_answer.wait()
        if self.fault:
            raise self.fault
        return self.measured


class Unmeasured:
    """A dyno of a driver that cannot measure."""

    address = None


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., RuntimeMetrics]


@pytest.fixture
def make(router: LogRouter, clock: Clock) -> Make:
    """Return a maker of metrics, which measure a dyno first after half of the period."""

    def make(**more: Any) -> RuntimeMetrics:
        more.setdefault("chance", lambda: 0.5)
        return RuntimeMetrics(router, sleep=clock.sleep, clock=clock, **more)

    return make


async def begun(metrics: RuntimeMetrics, dyno: Any, name: str = "web.1", **more: Any) -> None:
    """Have a dyno measured, and wait until its task sleeps."""
    metrics.begin(make_spec(name)._replace(**more), dyno)
    await asyncio.sleep(0)


def samples(sink: MemorySink, dyno: str = "web.1") -> list[str]:
    """Return what was logged of a dyno: each line from its first sample on."""
    lines = [text_of(one) for one in sink.batches if one.dyno == dyno]
    return [line.partition("sample#")[2] for line in lines if "sample#" in line]


def text_of(batch: LogBatch) -> str:
    return batch.lines.decode().rstrip("\n")


async def test_a_dyno_is_measured_again_and_again(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    metrics, dyno = make(), Dyno()
    await begun(metrics, dyno)
    await clock.pass_(PERIOD_SECONDS / 2 - 1)
    assert not sink.batches
    await clock.pass_(1)
    assert [line.partition("=")[0] for line in samples(sink)] == ["load_avg_1m", "memory_total"]
    for count in (4, 6, 8):
        await clock.pass_(PERIOD_SECONDS)
        assert len(samples(sink)) == count
    await metrics.close()


async def test_the_first_time_comes_by_chance_within_the_period(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    chances = iter((0.0, 1.0))
    metrics = make(chance=lambda: next(chances))
    await begun(metrics, Dyno(), "web.1")
    await begun(metrics, Dyno(), "web.2")
    await clock.pass_(0)
    assert (len(samples(sink, "web.1")), len(samples(sink, "web.2"))) == (2, 0)
    await clock.pass_(PERIOD_SECONDS)
    assert (len(samples(sink, "web.1")), len(samples(sink, "web.2"))) == (4, 2)
    await metrics.close()


async def test_the_load_is_that_since_the_dyno_came_up(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    metrics = make(chance=lambda: 1.0)
    await begun(metrics, Dyno(Measurement(runnable=1)))
    await clock.pass_(PERIOD_SECONDS)
    assert samples(sink)[0].startswith("load_avg_1m=0.28 ")  # 1 - exp(-20/60)
    await clock.pass_(PERIOD_SECONDS)
    assert samples(sink)[1].startswith("load_avg_1m=0.49 ")  # 1 - exp(-40/60)
    await metrics.close()


async def test_what_is_not_known_has_no_line(make: Make, clock: Clock, sink: MemorySink) -> None:
    metrics, dyno = make(), Dyno(Measurement(memory_rss=MIB))
    await begun(metrics, dyno)
    await clock.pass_(PERIOD_SECONDS)
    assert samples(sink) == ["memory_total=1.00MB sample#memory_rss=1.00MB"]
    dyno.measured = None  # it is about to end
    await clock.pass_(PERIOD_SECONDS)
    assert len(samples(sink)) == 1
    await metrics.close()


async def test_a_dyno_is_named_by_the_application_and_an_id_of_its_own(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    metrics = make()
    for name in ("web.1", "web.2"):
        await begun(metrics, Dyno(), name)
    await clock.pass_(PERIOD_SECONDS)
    lines = [text_of(one) for one in sink.batches]
    pattern = r"source=(web\.\d) dyno=heroku\.shop\.([0-9a-f-]{36}) sample#"
    named = {found[1]: found[2] for one in lines if (found := re.match(pattern, one))}
    assert set(named) == {"web.1", "web.2"}
    assert len(set(named.values())) == 2
    await metrics.close()


async def test_the_ids_that_the_platform_and_the_dyno_know_are_used(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    metrics = make()
    metrics.app_id = "01234567-89ab"
    await begun(metrics, Dyno(), metadata={"HEROKU_DYNO_ID": "d97d0ea7"})
    await clock.pass_(PERIOD_SECONDS)
    dyno = "dyno=heroku.01234567-89ab.d97d0ea7 "
    assert all(dyno in text_of(one) for one in sink.batches)
    await metrics.close()


async def test_a_line_has_the_release_and_the_event_of_metrics(
    make: Make, clock: Clock, sink: MemorySink, router: LogRouter
) -> None:
    router.runs("web.1", "shop", 7)
    metrics = make()
    await begun(metrics, Dyno())
    await clock.pass_(PERIOD_SECONDS)
    (_, memory) = sink.batches
    assert (memory.source, memory.app, memory.release) == ("heroku", "shop", 7)
    assert memory.event is not None
    assert memory.event.name == "metrics"
    assert memory.event.facts == {"metrics": figures(USED)}
    await metrics.close()


async def test_a_dyno_that_has_ended_is_measured_no_more(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    metrics = make()
    await begun(metrics, Dyno())
    spec = make_spec("web.1")
    metrics.end(spec.name)
    await clock.pass_(10 * PERIOD_SECONDS)
    assert not sink.batches
    await begun(metrics, Dyno())  # it was started again
    await clock.pass_(PERIOD_SECONDS)
    assert len(samples(sink)) == 2
    await metrics.close()


async def test_one_that_takes_long_delays_no_other(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    metrics, slow = make(), Dyno()
    slow.may_answer.clear()
    await begun(metrics, slow, "web.1")
    await begun(metrics, Dyno(), "web.2")
    for _ in range(3):
        await clock.pass_(PERIOD_SECONDS)
    assert (len(samples(sink, "web.1")), len(samples(sink, "web.2"))) == (0, 6)
    await metrics.close()


async def test_one_that_takes_too_long_is_told_once_and_asked_again(
    make: Make, clock: Clock, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, slow = make(), Dyno()
    slow.may_answer.clear()
    await begun(metrics, slow)
    monkeypatch.setattr("hsup.supervision.runtime_metrics._MOST_SECONDS", 0.0)
    for _ in range(3):
        await clock.pass_(PERIOD_SECONDS)
    text = "Warning: cannot log runtime metrics: measuring it took more than 0 s\n"
    assert [one.lines.decode() for one in sink.batches] == [text]
    monkeypatch.undo()
    slow.may_answer.set()
    await clock.pass_(PERIOD_SECONDS)
    assert len(samples(sink)) == 2
    await metrics.close()


async def test_a_failure_is_told_once_for_each_dyno(
    make: Make, clock: Clock, sink: MemorySink
) -> None:
    metrics = make()
    for name in ("web.1", "web.2"):
        dyno = Dyno()
        dyno.fault = DriverError("no such cgroup")
        await begun(metrics, dyno, name)
    for _ in range(3):
        await clock.pass_(PERIOD_SECONDS)
    text = "Warning: cannot log runtime metrics: no such cgroup"
    told = sorted((one.dyno, text_of(one)) for one in sink.batches)
    assert told == [("web.1", text), ("web.2", text)]
    assert {one.event and one.event.name for one in sink.batches} == {"warning"}
    await metrics.close()


async def test_a_driver_that_cannot_measure_is_named_once(make: Make, sink: MemorySink) -> None:
    metrics = make(driver_name="frob")
    for name in ("web.1", "web.2"):
        await begun(metrics, Unmeasured(), name)
    text = 'Warning: driver "frob" cannot measure dynos, so there are no runtime metrics'
    assert [(one.dyno, text_of(one)) for one in sink.batches] == [("supervisor", text)]
    await metrics.close()


async def test_nobody_is_told_of_it_who_has_not_asked(make: Make, sink: MemorySink) -> None:
    metrics = make()
    await begun(metrics, Unmeasured())
    assert not sink.batches
    await metrics.close()


async def turns() -> None:
    """Let the loop turn so often that a dyno would be measured that is to be measured."""
    for _ in range(200):
        await asyncio.sleep(0)


def give(source: MemorySource, release: Release) -> None:
    source.give(Fetched(release))


class TestSupervisor:
    """Whether dynos are measured, and since when."""

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hsup.supervision.runtime_metrics.PERIOD_SECONDS", 0.0)

    @staticmethod
    def release(version: int = 1, *features: str, **config: str) -> Release:
        release = make_release(version=version, config=config, web=1)
        return release._replace(features=frozenset(features))

    async def test_asked_for_dynos_are_measured_while_they_are_up(
        self,
        supervise: Supervise,
        source: MemorySource,
        driver: MemoryDriver,
        sink: MemorySink,
        turn_until: TurnUntil,
    ) -> None:
        give(source, self.release())
        supervisor, running = supervise(runtime_metrics=True)
        dyno = await driver.dyno("web.1")
        dyno.measured = USED
        await turn_until(lambda: len(samples(sink)) >= 4)
        await end(supervisor, running)
        count = len(samples(sink))
        await turns()
        assert len(samples(sink)) == count

    async def test_the_application_on_the_platform_asks_for_it(
        self,
        supervise: Supervise,
        source: MemorySource,
        driver: MemoryDriver,
        sink: MemorySink,
        turn_until: TurnUntil,
    ) -> None:
        """Also of dynos that the release leaves running."""
        give(source, self.release(1))
        supervisor, running = supervise()
        dyno = await driver.dyno("web.1")
        dyno.measured = USED
        give(
            source, self.release(2, "log-runtime-metrics")._replace(metadata={"HEROKU_APP_ID": "7"})
        )
        await turn_until(lambda: len(samples(sink)) >= 2)
        assert "dyno=heroku.7." in next(
            text_of(one) for one in sink.batches if "sample#" in text_of(one)
        )
        assert len(driver.started["web.1"]) == 1
        give(source, self.release(3, A="1"))
        second = await driver.dyno("web.1", 2)
        second.measured = Measurement(memory_rss=7 * MIB)
        await turns()
        assert not [one for one in samples(sink) if "7.00MB" in one]
        await end(supervisor, running)

    async def test_the_user_may_refuse_it(
        self,
        supervise: Supervise,
        source: MemorySource,
        driver: MemoryDriver,
        sink: MemorySink,
    ) -> None:
        give(source, self.release(1, "log-runtime-metrics"))
        supervisor, running = supervise(runtime_metrics=False)
        (await driver.dyno("web.1")).measured = USED
        await turns()
        await end(supervisor, running)
        assert not samples(sink)
