from __future__ import annotations

import signal

import pytest

from hsup.errors import DriverError, DynoStartError, ReleaseFailed
from hsup.events import ReleaseReceived
from hsup.events import ReleaseRejected as RejectedEvent
from hsup.testing import EventRecorder, MemoryDriver, MemorySource
from tests.supervision.supervised import SOON, Supervise, end, received


async def test_the_release_phase_runs_once_and_first(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.statuses = {"release": 0}
    source.release(web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    started = [name for name, dynos in driver.started.items() if dynos]
    assert [name.partition(".")[0] for name in started] == ["release", "web"]
    assert driver.attempts == 2
    assert told.states(started[0])[-1] == "complete"
    await end(supervisor, running)


async def test_a_release_phase_that_fails_at_first_ends_hsup_with_its_status(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.statuses = {"release": 7}
    source.release(version=3, web=1, release=1)
    _, running = supervise()
    with pytest.raises(ReleaseFailed, match="v3 of shop exited with status 7") as caught:
        await running
    assert caught.value.exit_code == 7
    assert received(told) == []
    assert told.states("web.1") == []


async def test_a_release_phase_that_fails_later_leaves_the_old_release_running(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.statuses = {"release": 0}
    source.release(version=1, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, command="serve better", web=1, release=1)
    await told.until(lambda one: one.of(RejectedEvent))
    assert told.of(RejectedEvent)[0].running == 1
    assert (await driver.dyno("web.1")).signals == []
    await end(supervisor, running)
    assert received(told) == [1]


async def test_scaling_runs_no_release_phase(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.statuses = {"release": 0}
    source.release(web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(web=2, release=1)
    await told.state("web.2", "up")
    assert driver.attempts == 3
    await end(supervisor, running)


async def test_a_release_phase_that_has_passed_is_not_run_again_after_a_failure(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver.statuses = {"release": 0}
    fail = [DriverError("engine away")]

    def keep_only(_: object) -> tuple[()]:
        if fail:
            raise fail.pop()
        return ()

    monkeypatch.setattr(driver, "keep_only", keep_only, raising=False)
    monkeypatch.setattr(driver, "adopt", None, raising=False)
    source.release(web=0, release=1)
    supervisor, running = supervise(retry=SOON, stays=True)
    await told.until(lambda one: one.of(ReleaseReceived))
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_a_release_phase_that_cannot_be_started_fails(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver
) -> None:
    driver.failures = [DynoStartError("no such command")]
    source.release(web=1, release=1)
    _, running = supervise()
    with pytest.raises(ReleaseFailed):
        await running


async def test_a_release_phase_that_lasts_too_long_is_stopped_and_has_failed(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hsup.supervision.rollout.RELEASE_PHASE_SECONDS", 0.2)
    source.release(web=1, release=1)
    _, running = supervise()
    with pytest.raises(ReleaseFailed, match=r"v1 of shop did not end within 0\.2 s"):
        await running
    (phases,) = driver.started.values()
    assert phases[0].signals == [signal.SIGTERM]


async def test_a_stop_during_the_release_phase_stops_it(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(web=1, release=1)
    supervisor, running = supervise()
    await told.until(lambda one: any("up" in one.states(name) for name in driver.started))
    (name,) = driver.started
    assert await end(supervisor, running) == 0
    (phase,) = driver.started[name]
    assert phase.signals == [signal.SIGTERM]
    assert told.states("web.1") == []
