from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest

from hsup.api import Fetched
from hsup.errors import SourceError
from hsup.events import ReleaseRejected, SourceFailed, SupervisorStarted, SupervisorStopping
from hsup.model import Command, ProcessType, Release
from hsup.plugins.calls import Calls
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource, make_release
from tests.conftest import TurnUntil
from tests.supervision.supervised import FAULTY, SOON, Supervise, end, has_fetched, received

#: Of a release whose source has mistaken a location for a slug.
WRONG: dict[str, Any] = {"slug": "here"}


async def test_the_first_release_is_built_and_its_dynos_are_started(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    release = source.release(web=2, worker=1)
    supervisor, running = supervise()
    for name in ("web.1", "web.2", "worker.1"):
        await told.state(name, "up")
    assert driver.built == [release]
    assert supervisor.dynos() == {"web.1": "up", "web.2": "up", "worker.1": "up"}
    assert await end(supervisor, running) == 0
    assert supervisor.dynos() == {}


async def test_events_tell_the_story_in_its_order(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.release(version=4, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    await end(supervisor, running)
    assert told.events[0] == SupervisorStarted(source="memory", driver="fake")
    assert received(told) == [4]
    assert told.of(SupervisorStopping) == [SupervisorStopping(reason="SIGTERM received")]
    assert sink.said("supervisor")[0] == 'Following source "memory" with driver "fake"'
    assert sink.said("api") == ["Release v4 created"]


async def test_a_new_release_scales_and_leaves_the_others_alone(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    turn_until: TurnUntil,
) -> None:
    source.release(version=1, web=1, worker=2)
    supervisor, running = supervise()
    for name in ("web.1", "worker.1", "worker.2"):
        await told.state(name, "up")
    source.release(version=2, web=2, worker=1)
    wanted = {"web.1": "up", "web.2": "up", "worker.1": "up"}
    await turn_until(lambda: supervisor.dynos() == wanted)
    assert driver.attempts == 4
    assert received(told) == [1, 2]
    await end(supervisor, running)


async def test_a_new_release_restarts_only_what_it_changed(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    before = source.release(version=1, web=1, worker=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    await told.state("worker.1", "up")
    better = ProcessType(name="worker", command=Command(("work better",)))
    processes = (before.processes[0], better)
    source.give(Fetched(release=before._replace(version=2, processes=processes)))
    replaced = await driver.dyno("worker.1", nth=2)
    assert str(replaced.spec.command) == "work better"
    assert (await driver.dyno("web.1")).signals == []
    await end(supervisor, running)


async def test_new_config_restarts_everything(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=1, worker=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    await told.state("worker.1", "up")
    source.release(version=2, config={"A": "1"}, web=1, worker=1)
    for name in ("web.1", "worker.1"):
        assert (await driver.dyno(name, nth=2)).spec.config == {"A": "1"}
    await end(supervisor, running)


async def test_an_equal_answer_changes_nothing(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    turn_until: TurnUntil,
) -> None:
    source.release(web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    fetches = source.fetches
    source.release(web=1)
    await turn_until(lambda: source.fetches > fetches)
    await end(supervisor, running)
    assert received(told) == [1]
    assert driver.attempts == 1


async def test_a_dyno_that_crashed_for_long_is_started_at_once_by_a_new_release(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    (await driver.dyno("web.1")).end(1)
    (await driver.dyno("web.1", nth=2)).end(1)
    await told.state("web.1", "crashed", times=2)
    source.release(version=2, web=1)
    await driver.dyno("web.1", nth=3)
    await end(supervisor, running)


async def test_warnings_are_told_and_keep_nothing_from_running(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.give(Fetched(release=make_release(web=1), warnings=("line 3: tabs",)))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert "Warning: line 3: tabs" in sink.said("supervisor")
    await end(supervisor, running)


async def test_a_source_that_cannot_be_read_at_first_ends_hsup(
    supervise: Supervise, source: MemorySource
) -> None:
    source.give(SourceError("cannot read the control directory /nowhere"))
    _, running = supervise()
    with pytest.raises(SourceError, match="/nowhere"):
        await running


async def test_a_source_that_cannot_be_read_later_leaves_the_dynos_running(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(SourceError("gone for a moment"))
    expected = "Cannot fetch a newer release, keeping the current one: gone for a moment"
    await sink.until(lambda one: expected in one.said())
    assert [str(one.error) for one in told.of(SourceFailed)] == ["gone for a moment"]
    assert [one.running for one in told.of(SourceFailed)] == [1]
    source.release(version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_source_that_could_not_be_read_is_asked_again_by_itself(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise(retry=SOON)
    await told.state("web.1", "up")
    source.give(SourceError("gone for a moment"))
    await sink.until(lambda one: "gone for a moment" in "".join(one.said()))
    source.release(silently=True, version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_source_may_answer_and_tell_that_it_failed(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    failure = SourceError("gone for a moment")
    source.give(Fetched(release=make_release(web=1), failure=failure))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert told.of(SourceFailed) == [SourceFailed(error=failure, running=None, starting=1)]
    source.give(Fetched(release=make_release(web=1), failure=failure))
    await told.until(lambda one: one.of(SourceFailed)[1:])
    assert told.of(SourceFailed)[1] == SourceFailed(error=failure, running=1)
    await end(supervisor, running)


async def test_what_a_source_rejects_at_the_start_is_told_with_what_is_started(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.give(Fetched(release=make_release(web=1), rejected=FAULTY))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert told.of(ReleaseRejected) == [ReleaseRejected(error=FAULTY, running=None, starting=1)]
    await end(supervisor, running)


async def test_a_release_that_is_passed_over_is_not_said_to_be_started(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    driver.statuses = {"release": 1}
    release = source.release(web=1, release=1)
    supervisor, running = supervise(stays=True)
    await told.until(lambda one: one.of(ReleaseRejected))
    source.give(Fetched(release=release, rejected=FAULTY))
    await told.until(lambda one: one.of(ReleaseRejected)[1:])
    assert told.of(ReleaseRejected)[1] == ReleaseRejected(error=FAULTY, running=None)
    await end(supervisor, running)


async def test_a_source_that_wants_to_be_asked_again_is(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    release = make_release(version=1, web=1)
    source.give(Fetched(release=release, ask_again=True))
    supervisor, running = supervise(retry=SOON)
    await told.state("web.1", "up")
    source.release(silently=True, version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_that_there_is_no_release_yet_is_said_once(
    supervise: Supervise,
    source: MemorySource,
    sink: MemorySink,
    turn_until: TurnUntil,
) -> None:
    supervisor, running = supervise()
    for fetches in (1, 2, 3):
        await turn_until(partial(has_fetched, source, fetches))
        source.give(Fetched(release=None))
    await end(supervisor, running)
    assert sink.said().count("There is no release yet, waiting for one") == 1


async def test_the_first_release_is_waited_for(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    supervisor, running = supervise()
    await sink.until(lambda one: "There is no release yet, waiting for one" in one.said())
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_a_failure_while_a_first_release_is_waited_for_does_not_end_hsup(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    supervisor, running = supervise()
    await sink.until(lambda one: "There is no release yet, waiting for one" in one.said())
    source.give(SourceError("away"))
    await told.until(lambda one: one.of(SourceFailed))
    assert "Cannot fetch a release, nothing is running: away" in sink.said()
    assert [one.running for one in told.of(SourceFailed)] == [None]
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_reload_asks_the_source_again(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(silently=True, version=2, web=1, worker=1)
    supervisor.reload()
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_watch_that_does_not_heed_its_end_is_abandoned(
    supervise: Supervise,
    source: MemorySource,
    told: EventRecorder,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hsup.supervision.supervisor.LAST_SECONDS", 0.0)

    async def changes() -> AsyncGenerator[None, None]:
        while not calls.has_abandoned:
            try:
                yield None
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    source.changes = changes
    source.release(web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert await end(supervisor, running) == 0
    assert calls.has_abandoned


async def test_a_source_that_can_no_longer_be_watched_leaves_the_dynos_running(
    supervise: Supervise, source: MemorySource, told: EventRecorder, sink: MemorySink
) -> None:
    source.release(web=1)

    async def changes() -> AsyncGenerator[None, None]:
        yield None
        await told.state("web.1", "up")
        raise OSError("no more watches")

    source.changes = changes
    supervisor, running = supervise()
    text = (
        'Error: source "memory" of hsup-source-memory 1.2.3 failed to watch for changes: '
        "OSError: no more watches; send SIGHUP to fetch the release again"
    )
    await sink.until(lambda one: text in one.said("supervisor"))
    assert supervisor.dynos() == {"web.1": "up"}
    assert await end(supervisor, running) == 0


async def test_a_source_that_raises_anything_leaves_the_dynos_running(
    supervise: Supervise,
    source: MemorySource,
    told: EventRecorder,
    turn_until: TurnUntil,
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(ValueError("a stranger's mistake"))
    fetches = source.fetches
    await turn_until(lambda: source.fetches > fetches)
    source.release(version=2, web=1, worker=1)
    new_one = asyncio.create_task(told.state("worker.1", "up"))
    await asyncio.wait([new_one, running], return_when="FIRST_COMPLETED")
    assert not running.done(), running.exception()
    assert await end(supervisor, running) == 0


async def test_a_reload_and_a_change_at_once_ask_for_both(
    supervise: Supervise, source: MemorySource, told: EventRecorder
) -> None:
    """A source may look for no more than what has changed."""
    begun, may_go_on, enough = (threading.Event() for _ in range(3))
    answer = Fetched(release=source.release(web=1))
    supervisor, running = supervise()
    await told.state("web.1", "up")

    def slow() -> None:
        begun.set()
        may_go_on.wait()
        if source.fetches == before + 2:
            enough.set()

    before, source.before_fetch = source.fetches, slow
    source.give(answer)
    await asyncio.to_thread(begun.wait)
    source.give(answer)
    for _ in range(10):
        await asyncio.sleep(0)
    supervisor.reload()
    may_go_on.set()
    assert await asyncio.to_thread(enough.wait, 5)
    await end(supervisor, running)


@pytest.mark.parametrize(
    "wrong",
    [
        {"warnings": None},
        {"rejected": "x"},
        {"failure": "x"},
        {"release": Release("shop", 2)._replace(**WRONG)},
    ],
    ids=repr,
)
async def test_a_source_that_answers_something_wrong_leaves_the_dynos_running(
    supervise: Supervise, source: MemorySource, told: EventRecorder, wrong: dict[str, Any]
) -> None:
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(Fetched(**{"release": None, **wrong}))
    failed = asyncio.create_task(told.until(lambda one: one.of(SourceFailed)))
    await asyncio.wait([failed, running], return_when="FIRST_COMPLETED")
    assert not running.done(), running.exception()
    error = str(told.of(SourceFailed)[0].error)
    assert error.startswith('source "memory" of hsup-source-memory 1.2.3 failed to fetch')
    assert supervisor.dynos() == {"web.1": "up"}
    assert await end(supervisor, running) == 0
