from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from hsup.api import Fetched
from hsup.archives.errors import ChecksumError
from hsup.errors import DriverError, InvalidRelease, UsageError
from hsup.events import ReleaseReceived, ReleaseRejected, Scale
from hsup.model import Author, Drain, Release
from hsup.supervision.formation import ScaleRequest
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource, make_release
from tests.conftest import TurnUntil
from tests.supervision.supervised import FAULTY, Supervise, end, has_fetched, received


async def test_a_rejected_release_leaves_the_old_one_running(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    release = source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(Fetched(release=release, rejected=FAULTY))
    await told.until(lambda one: one.of(ReleaseRejected))
    assert told.of(ReleaseRejected) == [ReleaseRejected(error=FAULTY, running=1)]
    assert supervisor.dynos() == {"web.1": "up"}
    assert "Release rejected, still running v1: cannot read new: line 1: no brace" in sink.said()
    await end(supervisor, running)


async def test_a_wrong_checksum_is_in_the_log_even_if_nothing_runs_instead(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, sink: MemorySink
) -> None:
    source.release(version=1, web=1)
    driver.build_failures = [ChecksumError("a", "b", hint="ask")]
    _, running = supervise()
    with pytest.raises(ChecksumError):
        await running
    (line,) = sink.said(source="heroku")
    assert line.endswith(" does match expected value. Expected: SHA256:a Actual: SHA256:b")


async def test_what_is_received_has_what_ran_before_but_no_more(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    releases = []
    supervisor, running = supervise()
    for version in (1, 2, 3):
        releases.append(source.release(version=version, web=version))
        await told.state(f"web.{version}", "up")
    await end(supervisor, running)
    first, second, third = told.of(ReleaseReceived)
    assert first.previous is None
    assert second.previous == first
    assert third.previous == second._replace(previous=None)
    assert third.formation == {"web": Scale(3)}


async def test_a_good_release_after_a_rejected_one_is_run(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    old = source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(Fetched(release=old, rejected=FAULTY))
    await told.until(lambda one: one.of(ReleaseRejected))
    source.release(version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_what_the_kernel_would_not_execute_is_rejected_unbuilt(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, config={"BIG": "x" * 131_072}, web=1)
    await told.until(lambda one: one.of(ReleaseRejected))
    assert 'v2 of shop: config var "BIG"' in str(told.of(ReleaseRejected)[0].error)
    assert [one.version for one in driver.built] == [1]
    await end(supervisor, running)


async def test_nothing_but_a_rejected_release_ends_hsup(
    supervise: Supervise, source: MemorySource
) -> None:
    source.give(Fetched(release=None, rejected=FAULTY))
    _, running = supervise()
    with pytest.raises(InvalidRelease, match="no brace"):
        await running


async def test_nothing_but_a_rejected_release_is_waited_over_where_hsup_stays(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.give(Fetched(release=None, rejected=FAULTY))
    supervisor, running = supervise(stays=True)
    await told.until(lambda one: one.of(ReleaseRejected))
    assert told.of(ReleaseRejected)[0].running is None
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_the_drains_of_a_release_are_followed_before_its_dynos_run(
    supervise: Supervise, source: MemorySource, sink: MemorySink
) -> None:
    followed: list[tuple[str | None, int]] = []
    source.release(web=1, logplex_url="https://t:s@logs.example")

    def follow(release: Release) -> None:
        followed.append((release.logplex_url, len(sink.said("web.1"))))

    supervisor, running = supervise(follow_drains=follow)
    await sink.until(lambda one: "State changed from starting to up" in one.said("web.1"))
    await end(supervisor, running)
    assert set(followed) == {("https://t:s@logs.example", 0)}
    assert not any("logs.example" in line for line in sink.said())


async def test_a_change_of_drains_alone_is_followed_and_causes_nothing_else(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, sink: MemorySink
) -> None:
    followed: list[tuple[Drain, ...]] = []
    changed = asyncio.Event()
    release = source.release(web=2)

    def follow(release: Release) -> None:
        followed.append(release.drains)
        if release.drains:
            changed.set()

    supervisor, running = supervise(follow_drains=follow)
    await driver.dyno("web.2")
    await sink.until(lambda one: "State changed from starting to up" in one.said("web.2"))
    before = sink.said()
    drain = Drain("https://s3cret@logs.example", "d.1")
    source.give(Fetched(release=release._replace(drains=(drain,))))
    await asyncio.wait_for(changed.wait(), 60)
    source.give(Fetched(release=release._replace(version=2, drains=(drain,))))
    await sink.until(lambda one: "Release v2 created" in one.said("api"))
    new = sink.said()[len(before) :]
    await end(supervisor, running)
    assert (followed[0], followed[-1]) == ((), (drain,))
    assert new == ["Release v2 created"]
    assert {name: len(dynos) for name, dynos in driver.started.items() if dynos} == {
        "web.1": 1,
        "web.2": 1,
    }


async def test_an_unknown_type_ends_hsup_at_its_start(
    supervise: Supervise, source: MemorySource
) -> None:
    source.release(web=1)
    _, running = supervise(asked=ScaleRequest(quantities={"wroker": 1}))
    with pytest.raises(UsageError, match="wroker"):
        await running


async def test_a_type_that_a_new_release_has_not_got_any_more_is_told(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.release(version=1, web=1, worker=1)
    supervisor, running = supervise(asked=ScaleRequest(quantities={"web": 1, "worker": 1}))
    await told.state("worker.1", "up")
    source.release(version=2, web=1)
    await told.state("worker.1", "stopped")
    assert 'Warning: v2 of shop no longer has process type "worker"' in sink.said()
    await end(supervisor, running)


async def test_a_release_that_cannot_be_built_ends_hsup_at_its_start(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    driver.build_failures = [DriverError("no space left")]
    source.release(web=1)
    _, running = supervise()
    with pytest.raises(DriverError, match="no space left"):
        await running


async def test_a_release_that_cannot_be_built_later_leaves_the_old_one_running(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [DriverError("no space left")]
    source.release(version=2, web=1, worker=1)
    await told.until(lambda one: one.of(ReleaseRejected))
    assert told.of(ReleaseRejected)[0].running == 1
    assert supervisor.dynos() == {"web.1": "up"}
    supervisor.reload()
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_driver_that_raises_anything_leaves_the_old_release_running(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [ValueError("a stranger's mistake")]
    source.release(version=2, web=1)
    rejected = asyncio.create_task(told.until(lambda one: one.of(ReleaseRejected)))
    await asyncio.wait([rejected, running], return_when="FIRST_COMPLETED")
    assert not running.done(), running.exception()
    error = told.of(ReleaseRejected)[0].error
    assert isinstance(error, DriverError)
    assert str(error) == (
        'driver "fake" of hsup-driver-fake 1.2.3 failed to build v2 of shop: '
        "ValueError: a stranger's mistake"
    )
    assert supervisor.dynos() == {"web.1": "up"}
    assert await end(supervisor, running) == 0


async def test_a_release_that_failed_is_tried_again_only_when_asked_for(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    turn_until: TurnUntil,
) -> None:
    driver.statuses = {"release": 0}
    source.release(version=1, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, worker=1, release=1)
    await told.until(lambda one: one.of(ReleaseRejected))
    attempts, fetches = driver.attempts, source.fetches
    source.release(version=2, web=1, worker=1, release=1)
    await turn_until(lambda: source.fetches > fetches)
    assert driver.attempts == attempts
    driver.statuses = {"release": 0}
    supervisor.reload()
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_release_that_failed_is_tried_again_when_another_author_writes_it(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [DriverError("the author of the release may not read it")]
    second = make_release(version=2, web=1, worker=1)
    source.give(Fetched(release=second._replace(author=Author(1000, 1000))))
    await told.until(lambda one: one.of(ReleaseRejected))
    source.give(Fetched(release=second._replace(author=Author(0, 0))))
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_what_runs_is_scaled_while_a_release_is_passed_over(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    driver.statuses = {"release": 0}
    source.release(version=1, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    await told.until(lambda one: one.of(ReleaseRejected))
    source.release(version=2, web=2, release=1)
    await told.state("web.2", "up")
    source.release(version=2, web=3, release=1)
    await told.state("web.3", "up")
    assert received(told) == [1, 1, 1]
    assert len(told.of(ReleaseRejected)) == 1
    assert len([line for line in sink.said() if "failed before" in line]) == 1
    await end(supervisor, running)


async def test_a_release_that_cannot_be_built_is_not_built_each_time_that_a_source_answers(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    turn_until: TurnUntil,
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [DriverError("no space")] * 3
    for quantity in (1, 2, 3):
        fetches = source.fetches
        source.release(version=2, command="better", web=quantity)
        await turn_until(partial(has_fetched, source, fetches + 1))
    await told.state("web.3", "up")
    assert len(told.of(ReleaseRejected)) == 1
    assert len(driver.build_failures) <= 2
    await end(supervisor, running)


class Changing(dict[str, str]):
    """Is a mapping at first, and fails from then on."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def items(self) -> Any:
        self.looks -= 1
        if self.looks < 0:
            raise RuntimeError("dictionary changed size during iteration")
        return super().items()


async def test_a_release_that_breaks_what_nobody_foresaw_leaves_the_old_one_running(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(Fetched(Release("shop", 2, config=Changing(looks=1))))
    rejected = asyncio.create_task(told.until(lambda one: one.of(ReleaseRejected)))
    await asyncio.wait([rejected, running], return_when="FIRST_COMPLETED")
    assert not running.done(), running.exception()
    assert str(told.of(ReleaseRejected)[0].error) == (
        "cannot run v2 of shop: RuntimeError: dictionary changed size during iteration"
    )
    assert supervisor.dynos() == {"web.1": "up"}
    assert await end(supervisor, running) == 0
