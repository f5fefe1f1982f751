from __future__ import annotations

from pathlib import Path

import pytest

from hsup.api import Fetched
from hsup.errors import DriverError, InvalidRelease, ReleaseFailed, SourceError, UsageError
from hsup.events import ReleaseRejected, SourceFailed
from hsup.model import Fault, Release, Slug
from hsup.slugs import ChecksumError
from hsup.supervision.formation import ScaleRequest
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource
from tests.conftest import TurnUntil
from tests.supervision.supervised import SOON, Supervise, end, received


async def test_a_source_keeps_what_runs(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    kept = source.keep_releases()
    driver.statuses = {"release": 0}
    first = source.release(version=1, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    await told.until(lambda one: one.of(ReleaseRejected))
    assert kept == [first]
    await end(supervisor, running)


async def test_what_was_kept_starts_without_its_release_phase(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.keep_releases(source.release(silently=True, web=1, release=1))
    source.release(web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_first_release_fails(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=1, release=1))
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    (rejected,) = told.of(ReleaseRejected)
    assert (rejected.running, rejected.starting) == (None, 1)
    assert received(told) == [1]
    await end(supervisor, running)


async def test_what_was_kept_has_the_formation_of_the_release_that_fails(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=3, release=1))
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert supervisor.dynos() == {"web.1": "up"}
    await end(supervisor, running)


async def test_a_release_phase_that_failed_is_not_run_again_where_what_was_kept_fails(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    turn_until: TurnUntil,
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=1))
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, worker=1, release=1)
    supervisor, running = supervise(stays=True, asked=ScaleRequest(quantities={"worker": 1}))
    await told.until(lambda one: one.of(ReleaseRejected))
    assert told.of(ReleaseRejected)[0].running is None
    fetches = source.fetches
    source.release(version=2, web=2, worker=1, release=1)
    await turn_until(lambda: source.fetches > fetches)
    source.release(version=2, web=3, worker=1, release=1)
    await turn_until(lambda: source.fetches > fetches + 1)
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_what_was_kept_and_cannot_be_built_any_more_ends_hsup(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.keep_releases(source.release(silently=True, web=1))
    driver.build_failures = [DriverError("no space")]
    source.release(web=1)
    _, running = supervise()
    with pytest.raises(DriverError, match="no space"):
        await running


async def test_what_cannot_be_kept_is_kept_when_there_is_room(
    supervise: Supervise, source: MemorySource, sink: MemorySink
) -> None:
    kept = source.keep_releases()
    full = [SourceError("no space"), SourceError("no space"), SourceError("no space")]

    def fail(release: Release) -> None:
        if full:
            raise full.pop()
        kept.append(release)

    source.keep = fail
    release = source.release(web=1)
    supervisor, running = supervise(retry=SOON)
    await sink.until(lambda one: f"Saved {release} for the next start" in one.said())
    assert kept == [release]
    assert sink.said().count("Warning: no space") == 1
    await end(supervisor, running)


@pytest.mark.parametrize("ability", ["keep", "kept"])
async def test_a_source_that_fails_to_keep_disturbs_nothing(
    supervise: Supervise, source: MemorySource, sink: MemorySink, ability: str
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a slip")

    source.keep_releases()
    setattr(source, ability, fail)
    source.release(web=1)
    supervisor, running = supervise()
    expected = ": ValueError: a slip"
    await sink.until(
        lambda one: any(
            text.startswith('Warning: source "memory" of ') and text.endswith(expected)
            for text in one.said()
        )
    )
    await sink.until(lambda one: "State changed from starting to up" in one.said())
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_source_cannot_be_read(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=1))
    source.give(SourceError("loaded is broken"))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert received(told) == [1]
    failed = told.of(SourceFailed)[0]
    assert (str(failed.error), failed.running, failed.starting) == ("loaded is broken", None, 1)
    source.release(version=2, web=2)
    await told.state("web.2", "up")
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_source_has_a_fault_only(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=1))
    source.give(Fetched(None, rejected=InvalidRelease("cannot read Procfile", [Fault("", "x")])))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert [(one.running, one.starting) for one in told.of(ReleaseRejected)] == [(None, 1)]
    assert not [line for line in sink.said() if "no release yet" in line]
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_newest_lacks_what_the_user_has_typed(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.keep_releases(source.release(silently=True, version=1, worker=1))
    source.release(version=2, web=1)
    supervisor, running = supervise(asked=ScaleRequest(quantities={"worker": 1}))
    await told.state("worker.1", "up")
    assert [(one.running, one.starting) for one in told.of(ReleaseRejected)] == [(None, 1)]
    await end(supervisor, running)


@pytest.fixture(params=["", "file://", "file://localhost"])
def directory_slug(request: pytest.FixtureRequest, tmp_path: Path) -> Slug:
    return Slug(f"{request.param}{tmp_path}")


async def test_a_release_phase_runs_again_where_the_code_is_a_directory(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    directory_slug: Slug,
) -> None:
    release = source.release(silently=True, web=1, release=1)
    release = release._replace(slug=directory_slug)
    source.keep_releases(release)
    driver.statuses = {"release": 0}
    source.give(Fetched(release))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert driver.attempts == 2
    await end(supervisor, running)


async def test_what_was_kept_runs_though_its_release_phase_fails_now(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    tmp_path: Path,
) -> None:
    release = source.release(silently=True, web=1, release=1)
    release = release._replace(slug=Slug(str(tmp_path)))
    source.keep_releases(release)
    driver.statuses = {"release": 1}
    source.give(Fetched(release))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert [(one.running, one.starting) for one in told.of(ReleaseRejected)] == [(None, 1)]
    await end(supervisor, running)


async def test_a_release_phase_that_has_passed_is_not_run_again_where_dynos_run_once(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    release = source.release(web=1, release=1)
    source.keep_releases(release)
    supervisor, running = supervise(one_shot=True)
    await told.state("web.1", "up")
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_what_was_kept_does_not_run_once_instead_of_what_was_asked_for(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=1))
    driver.statuses = {"release": 3}
    source.release(version=2, web=1, release=1)
    _, running = supervise(one_shot=True)
    with pytest.raises(ReleaseFailed):
        await running


async def test_a_type_that_is_none_is_an_error_whatever_was_kept(
    supervise: Supervise, source: MemorySource
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=1))
    source.release(version=2, web=1)
    _, running = supervise(asked=ScaleRequest(quantities={"wbe": 1}))
    with pytest.raises(UsageError, match="wbe"):
        await running


@pytest.mark.parametrize(
    "error",
    [DriverError("no space"), ChecksumError("0" * 64, "f" * 64, hint="x"), ValueError("a slip")],
    ids=repr,
)
async def test_what_was_kept_runs_where_the_first_release_cannot_be_built(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    error: Exception,
) -> None:
    kept = source.release(silently=True, version=1, web=1)
    source.keep_releases(kept)
    driver.build_failures = [error]
    source.release(version=2, command="better", web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    (rejected,) = told.of(ReleaseRejected)
    assert (rejected.running, rejected.starting) == (None, 1)
    assert str(error) in str(rejected.error)
    assert driver.built == [kept]
    assert received(told) == [1]
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_first_releases_slug_is_none(
    supervise: Supervise, source: MemorySource, told: EventRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.keep_releases(source.release(silently=True, version=1, web=1))
    error = InvalidRelease("cannot run v2", [Fault("the slug", "its checksum is wrong")])

    def fetch_slug(release: Release) -> None:
        if release.version == 2:
            raise error

    monkeypatch.setattr(source, "fetch_slug", fetch_slug, raising=False)
    source.release(version=2, command="better", web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert [(one.error, one.starting) for one in told.of(ReleaseRejected)] == [(error, 1)]
    assert received(told) == [1]
    await end(supervisor, running)


async def test_what_cannot_be_kept_is_kept_when_there_is_room_though_a_later_release_fails(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    kept = source.keep_releases()
    is_full = True

    def fail(release: Release) -> None:
        if is_full:
            raise SourceError("no space")
        kept.append(release)

    source.keep = fail
    runs = source.release(version=2, web=1)
    supervisor, running = supervise(retry=SOON)
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=3, web=1, release=1)
    await told.until(lambda one: one.of(ReleaseRejected))
    is_full = False
    await sink.until(lambda one: f"Saved {runs} for the next start" in one.said())
    assert kept == [runs]
    await end(supervisor, running)


async def test_what_was_scaled_is_kept_when_there_is_room(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    sink: MemorySink,
) -> None:
    kept = source.keep_releases()
    full: list[SourceError] = []

    def fail(release: Release) -> None:
        if full:
            raise full.pop()
        kept.append(release)

    source.keep = fail
    source.release(version=1, web=1)
    supervisor, running = supervise(retry=SOON)
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    await told.until(lambda one: one.of(ReleaseRejected))
    full += [SourceError("no space")] * 2
    source.release(version=2, web=2, release=1)
    await sink.until(lambda one: "Saved v1 of shop for the next start" in one.said())
    assert kept[-1].process("web").quantity == 2
    await end(supervisor, running)


async def test_what_cannot_be_kept_is_kept_when_there_is_room_though_the_source_fails(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    kept = source.keep_releases()
    is_full = True

    def fail(release: Release) -> None:
        if is_full:
            raise SourceError("no space")
        kept.append(release)

    source.keep = fail
    runs = source.release(web=1)
    supervisor, running = supervise(retry=SOON)
    await told.state("web.1", "up")
    source.give(SourceError("away"))
    await told.until(lambda one: one.of(SourceFailed))
    is_full = False
    await sink.until(lambda one: f"Saved {runs} for the next start" in one.said())
    assert kept == [runs]
    await end(supervisor, running)
