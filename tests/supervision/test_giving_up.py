from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable

import pytest

from hsup.api import Fetched, LogBatch
from hsup.cancellation import pause
from hsup.errors import DriverError
from hsup.events import ReleaseRejected as RejectedEvent
from hsup.long_work import current
from hsup.model import Release
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource
from tests.conftest import TurnUntil
from tests.supervision.supervised import Supervise, end, received


@pytest.fixture
def blocking_build(
    driver: MemoryDriver,
    monkeypatch: pytest.MonkeyPatch,
    turn_until: TurnUntil,
) -> Callable[[], Awaitable[None]]:
    """Have the build of v2 wait until it is not wanted; give what waits for its begin."""
    begun = threading.Event()
    build = driver.build

    def block(release: Release) -> None:
        if release.version == 2:
            begun.set()
            pause(60.0)
        build(release)

    monkeypatch.setattr(driver, "build", block)
    return lambda: turn_until(begun.is_set)


async def test_a_newer_release_gives_up_the_build_of_an_older_one(
    supervise: Supervise,
    source: MemorySource,
    told: EventRecorder,
    sink: MemorySink,
    blocking_build: Callable[[], Awaitable[None]],
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, config={"A": "2"}, web=1)
    await blocking_build()
    source.release(version=3, config={"A": "3"}, web=1)
    await told.until(lambda one: received(one) == [1, 3])
    assert told.of(RejectedEvent) == []
    assert "Gave up on v2 of shop: v3 of shop has arrived" in sink.said()
    await end(supervisor, running)


async def test_however_many_releases_supersede_one_another_hsup_needs_no_more_stack(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    sink: MemorySink,
    turn_until: TurnUntil,
) -> None:
    begun, depths = [], []

    def block(release: Release) -> None:
        begun.append(release.version)
        pause(60.0)

    def write(batch: LogBatch) -> None:
        if batch.lines.startswith(b"Warning: answer"):
            depths.append(len(inspect.stack(0)))

    driver.build, sink.write = block, write
    supervisor, running = supervise()
    for version in range(1, 6):
        config = {"A": str(version)}
        release = source.release(silently=True, version=version, config=config, web=1)
        source.give(Fetched(release=release, warnings=(f"answer {version}",)))
        await turn_until(lambda: begun[-1:] == [version])  # noqa: B023 - awaited here
    assert len(depths) == 5
    assert depths[1:] == depths[1:2] * 4
    await end(supervisor, running)


async def test_a_stop_gives_up_a_build(
    supervise: Supervise,
    source: MemorySource,
    turn_until: TurnUntil,
    monkeypatch: pytest.MonkeyPatch,
    driver: MemoryDriver,
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def block(_: Release) -> None:
        begun.set()
        try:
            pause(60.0)
        finally:
            ended.set()

    monkeypatch.setattr(driver, "build", block)
    source.release(web=1)
    supervisor, running = supervise()
    await turn_until(begun.is_set)
    assert await end(supervisor, running) == 0
    assert ended.is_set()


@pytest.mark.usefixtures("blocking_build")
async def test_a_build_that_takes_long_is_told(
    supervise: Supervise,
    source: MemorySource,
    sink: MemorySink,
    turn_until: TurnUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hsup.supervision.build.FIRST_SECONDS", 0.0)
    source.release(version=2, web=1)
    supervisor, running = supervise()
    await turn_until(lambda: "Still preparing v2 of shop after 0 s" in sink.said())
    assert sink.said().count("Still preparing v2 of shop after 0 s") == 1
    assert "preparing" in [one.event.name for one in sink.batches]
    await end(supervisor, running)


async def test_a_build_that_takes_long_says_how_far_it_is(
    supervise: Supervise,
    source: MemorySource,
    sink: MemorySink,
    *,
    turn_until: TurnUntil,
    monkeypatch: pytest.MonkeyPatch,
    driver: MemoryDriver,
) -> None:
    monkeypatch.setattr("hsup.supervision.build.FIRST_SECONDS", 0.0)
    monkeypatch.setattr("hsup.supervision.build.EVERY_SECONDS", 0.001)
    done = iter(range(1000))

    def block(_: Release) -> None:
        work = current()
        with work.doing(lambda: f"fetching {work.slug} ({next(done)} of 1000 MB)"):
            pause(60.0)

    monkeypatch.setattr(driver, "build", block)
    source.release(version=2, web=1)
    supervisor, running = supervise()
    await turn_until(lambda: "Fetching the slug of v2 (1 of 1000 MB)" in sink.said())
    assert "Fetching the slug of v2 (0 of 1000 MB)" in sink.said()
    assert "fetching" in [one.event.name for one in sink.batches]
    await end(supervisor, running)


@pytest.fixture
def fetching(source: MemorySource, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the source fetch slugs itself; return the versions that it was asked for."""
    asked = []

    def fetch_slug(release: Release) -> None:
        asked.append(release.version)
        if release.version == 2:
            pause(60.0)
        if release.version == 4:
            raise DriverError("no slug for now")

    monkeypatch.setattr(source, "fetch_slug", fetch_slug, raising=False)
    return asked


async def test_a_newer_release_gives_up_what_a_source_fetches(
    supervise: Supervise,
    source: MemorySource,
    told: EventRecorder,
    *,
    fetching: list[int],
    turn_until: TurnUntil,
    driver: MemoryDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = []
    monkeypatch.setattr(driver, "build", lambda release: built.append(release.version))
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, config={"A": "2"}, web=1)
    await turn_until(lambda: 2 in fetching)
    source.release(version=3, config={"A": "3"}, web=1)
    await told.until(lambda one: received(one) == [1, 3])
    source.release(version=4, config={"A": "4"}, web=1)
    await told.until(lambda one: one.of(RejectedEvent))
    assert built == [1, 3]
    assert fetching == [1, 2, 3, 4]
    await end(supervisor, running)
