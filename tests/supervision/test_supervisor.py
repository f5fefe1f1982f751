from __future__ import annotations

import asyncio
import inspect
import signal
import threading

import pytest

from hsup.api import Fetched
from hsup.cancellation import pause
from hsup.errors import (
    DriverError,
    DynoStartError,
    ReleaseFailed,
    ReleaseRejected,
    SourceError,
    UsageError,
)
from hsup.events import (
    ReleaseReceived,
    SourceFailed,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.events import ReleaseRejected as RejectedEvent
from hsup.long_work import current
from hsup.model import Author, Command, Fault, ProcessType, Release, Slug
from hsup.plugins.calls import Part
from hsup.plugins.guards import GuardedService
from hsup.slugs import ChecksumError
from hsup.supervision.formation import Asked
from hsup.supervision.plan import Plan
from hsup.supervision.policy import CrashPolicy
from hsup.supervision.supervisor import Supervisor

FAULTY = ReleaseRejected("cannot read new", [Fault("line 1", "no brace")])
FOLLOWING = Asked(follows_release=True)


@pytest.fixture
def supervise(guarded_source, guarded_driver, router, told, calls):
    """Return a starter of supervisors: each with its task."""

    def start(*, services=(), asked=FOLLOWING, other_driver=None, **plan):
        plan.setdefault("policy", CrashPolicy(base_seconds=10_000, cap_seconds=10_000))
        supervisor = Supervisor(
            Plan(source_name="memory", driver_name="fake", asked=asked, **plan),
            source=guarded_source(),
            driver=guarded_driver(other_driver),
            router=router,
            observe=told,
            calls=calls,
        )
        return supervisor, asyncio.create_task(supervisor.run(services))

    return start


@pytest.fixture
def soon(monkeypatch):
    """Ask again at once where hsup asks again after a while."""
    for module in ("supervisor", "rollout"):
        monkeypatch.setattr(f"hsup.supervision.{module}.RETRY_SECONDS", 0.0)


async def end(supervisor, running, number=signal.SIGTERM):
    supervisor.stop(number)
    return await running


def received(told):
    return [event.release.version for event in told.of(ReleaseReceived)]


async def test_the_first_release_is_built_and_its_dynos_are_started(
    supervise, source, driver, told
):
    release = source.release(web=2, worker=1)
    supervisor, running = supervise()
    for name in ("web.1", "web.2", "worker.1"):
        await told.state(name, "up")
    assert driver.built == [release]
    assert supervisor.dynos() == {"web.1": "up", "web.2": "up", "worker.1": "up"}
    assert await end(supervisor, running) == 0
    assert supervisor.dynos() == {}


async def test_events_tell_the_story_in_its_order(supervise, source, told, sink):
    source.release(version=4, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    await end(supervisor, running)
    assert told.events[0] == SupervisorStarted(source="memory", driver="fake")
    assert received(told) == [4]
    assert told.of(SupervisorStopping) == [SupervisorStopping(reason="SIGTERM received")]
    assert sink.said("supervisor")[:2] == [
        "Following the source memory with the driver fake",
        "Release v4 of shop",
    ]


async def test_a_dyno_has_the_size_of_its_type(supervise, source, driver, make_release):
    release = make_release(web=1, worker=1)
    web, worker = release.processes
    source.give(Fetched(release=release._replace(processes=(web._replace(size="eco"), worker))))
    supervisor, running = supervise(asked=Asked(sizes={"worker": "performance-m"}))
    dynos = [await driver.dyno(name) for name in ("web.1", "worker.1")]
    assert [dyno.spec.size for dyno in dynos] == ["eco", "performance-m"]
    await end(supervisor, running)


async def test_every_dyno_has_a_port_of_its_own(supervise, source, driver):
    source.release(web=2, worker=1, release=0)
    driver.statuses = {"release": 0}
    supervisor, running = supervise()
    dynos = [await driver.dyno(name) for name in ("web.1", "web.2", "worker.1")]
    assert [dyno.spec.port for dyno in dynos] == [5000, 5001, 5100]
    await end(supervisor, running)


async def test_the_port_of_the_release_is_that_of_its_only_dyno(supervise, source, driver):
    source.release(config={"PORT": "8080"}, web=1)
    supervisor, running = supervise()
    assert (await driver.dyno("web.1")).spec.port is None
    await end(supervisor, running)


async def test_the_port_of_the_release_is_not_shared_by_several(supervise, source, driver, sink):
    source.release(config={"PORT": "8080"}, web=2)
    supervisor, running = supervise()
    ports = [(await driver.dyno(name)).spec.port for name in ("web.1", "web.2")]
    assert ports == [5000, 5001]
    assert "Warning: PORT of the release is not used, 2 dynos cannot share it" in sink.said()
    await end(supervisor, running)


async def test_a_port_that_was_given_back_is_given_again(supervise, source, driver, told):
    source.release(version=1, web=2)
    supervisor, running = supervise()
    await told.state("web.2", "up")
    source.release(version=2, web=1)
    await told.state("web.2", "stopped")
    source.release(version=3, web=2)
    assert (await driver.dyno("web.2", nth=2)).spec.port == 5001
    await end(supervisor, running)


async def test_a_new_release_scales_and_leaves_the_others_alone(
    supervise, source, driver, told, turn_until
):
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


async def test_a_new_release_restarts_only_what_it_changed(supervise, source, driver, told):
    before = source.release(version=1, web=1, worker=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    await told.state("worker.1", "up")
    better = ProcessType(name="worker", command=Command(("work better",)))
    processes = (before.process("web"), better)
    source.give(Fetched(release=before._replace(version=2, processes=processes)))
    replaced = await driver.dyno("worker.1", nth=2)
    assert str(replaced.spec.command) == "work better"
    assert (await driver.dyno("web.1")).signals == []
    await end(supervisor, running)


async def test_new_config_restarts_everything(supervise, source, driver, told):
    source.release(version=1, web=1, worker=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    await told.state("worker.1", "up")
    source.release(version=2, config={"A": "1"}, web=1, worker=1)
    for name in ("web.1", "worker.1"):
        assert (await driver.dyno(name, nth=2)).spec.config == {"A": "1"}
    await end(supervisor, running)


async def test_an_equal_answer_changes_nothing(supervise, source, driver, told, turn_until):
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
    supervise, source, driver, told
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    (await driver.dyno("web.1")).end(1)
    (await driver.dyno("web.1", nth=2)).end(1)
    await told.state("web.1", "crashed", times=2)
    source.release(version=2, web=1)
    await driver.dyno("web.1", nth=3)
    await end(supervisor, running)


async def test_a_rejected_release_leaves_the_old_one_running(supervise, source, told, sink):
    release = source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(Fetched(release=release, rejected=FAULTY))
    await told.until(lambda one: one.of(RejectedEvent))
    assert told.of(RejectedEvent) == [RejectedEvent(error=FAULTY, running=1)]
    assert supervisor.dynos() == {"web.1": "up"}
    assert "Release rejected, v1 goes on: cannot read new: line 1: no brace" in sink.said()
    await end(supervisor, running)


async def test_a_good_release_after_a_rejected_one_is_run(supervise, source, told):
    old = source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(Fetched(release=old, rejected=FAULTY))
    await told.until(lambda one: one.of(RejectedEvent))
    source.release(version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_what_the_kernel_would_not_execute_is_rejected_unbuilt(
    supervise, source, driver, told
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, config={"BIG": "x" * 131_072}, web=1)
    await told.until(lambda one: one.of(RejectedEvent))
    assert 'v2 of shop: config var "BIG"' in str(told.of(RejectedEvent)[0].error)
    assert [one.version for one in driver.built] == [1]
    await end(supervisor, running)


async def test_nothing_but_a_rejected_release_ends_hsup(supervise, source):
    source.give(Fetched(release=None, rejected=FAULTY))
    _, running = supervise()
    with pytest.raises(ReleaseRejected, match="no brace"):
        await running


async def test_nothing_but_a_rejected_release_is_waited_over_where_hsup_stays(
    supervise, source, told
):
    source.give(Fetched(release=None, rejected=FAULTY))
    supervisor, running = supervise(stays=True)
    await told.until(lambda one: one.of(RejectedEvent))
    assert told.of(RejectedEvent)[0].running is None
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_warnings_are_told_and_keep_nothing_from_running(
    supervise, source, told, sink, make_release
):
    source.give(Fetched(release=make_release(web=1), warnings=("line 3: tabs",)))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert "Warning: line 3: tabs" in sink.said("supervisor")
    await end(supervisor, running)


async def test_a_source_that_cannot_be_read_at_first_ends_hsup(supervise, source):
    source.give(SourceError("cannot read the control directory /nowhere"))
    _, running = supervise()
    with pytest.raises(SourceError, match="/nowhere"):
        await running


async def test_a_source_that_cannot_be_read_later_leaves_the_dynos_running(
    supervise, source, told, sink
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(SourceError("gone for a moment"))
    expected = "Cannot take a newer release, what runs goes on: gone for a moment"
    await sink.until(lambda one: expected in one.said())
    assert [str(one.error) for one in told.of(SourceFailed)] == ["gone for a moment"]
    source.release(version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


@pytest.mark.usefixtures("soon")
async def test_a_source_that_could_not_be_read_is_asked_again_by_itself(
    supervise, source, told, sink
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(SourceError("gone for a moment"))
    await sink.until(lambda one: "gone for a moment" in "".join(one.said()))
    source.release(silently=True, version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_source_may_answer_and_tell_that_it_failed(supervise, source, told, make_release):
    failure = SourceError("gone for a moment")
    source.give(Fetched(release=make_release(web=1), failure=failure))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert [one.error for one in told.of(SourceFailed)] == [failure]
    await end(supervisor, running)


@pytest.mark.usefixtures("soon")
async def test_a_source_that_wants_to_be_asked_again_is(supervise, source, told, make_release):
    release = make_release(version=1, web=1)
    source.give(Fetched(release=release, ask_again=True))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(silently=True, version=2, web=1, worker=1)
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_that_there_is_no_release_yet_is_said_once(supervise, source, sink, turn_until):
    supervisor, running = supervise()
    for fetches in (1, 2, 3):
        await turn_until(lambda fetches=fetches: source.fetches >= fetches)
        source.give(Fetched(release=None))
    await end(supervisor, running)
    assert sink.said().count("There is no release yet, waiting for one") == 1


@pytest.mark.parametrize(("has_drain", "warnings"), [(False, 1), (True, 0)])
async def test_a_logplex_url_that_nothing_serves_is_warned_of(
    supervise, source, sink, has_drain, warnings
):
    source.release(web=1, logplex_url="https://t:s@logs.example")
    supervisor, running = supervise(has_drain=has_drain)
    await sink.until(lambda one: "State changed from starting to up" in one.said("web.1"))
    await end(supervisor, running)
    said = [line for line in sink.said() if "pip install hsup-log-drain" in line]
    assert len(said) == warnings
    assert not any("logs.example" in line for line in sink.said())


async def test_the_first_release_is_waited_for(supervise, source, told, sink):
    supervisor, running = supervise()
    await sink.until(lambda one: "There is no release yet, waiting for one" in one.said())
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_an_unknown_type_ends_hsup_at_its_start(supervise, source):
    source.release(web=1)
    _, running = supervise(asked=Asked(quantities={"wroker": 1}))
    with pytest.raises(UsageError, match="wroker"):
        await running


async def test_a_type_that_a_new_release_has_not_got_any_more_is_told(
    supervise, source, told, sink
):
    source.release(version=1, web=1, worker=1)
    supervisor, running = supervise(asked=Asked(quantities={"web": 1, "worker": 1}))
    await told.state("worker.1", "up")
    source.release(version=2, web=1)
    await told.state("worker.1", "stopped")
    assert 'Warning: v2 of shop has no process type "worker" any more' in sink.said()
    await end(supervisor, running)


async def test_a_release_that_cannot_be_built_ends_hsup_at_its_start(supervise, source, driver):
    driver.build_failures = [DriverError("no space left")]
    source.release(web=1)
    _, running = supervise()
    with pytest.raises(DriverError, match="no space left"):
        await running


async def test_a_release_that_cannot_be_built_later_leaves_the_old_one_running(
    supervise, source, driver, told
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [DriverError("no space left")]
    source.release(version=2, web=1, worker=1)
    await told.until(lambda one: one.of(RejectedEvent))
    assert told.of(RejectedEvent)[0].running == 1
    assert supervisor.dynos() == {"web.1": "up"}
    supervisor.reload()
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_driver_that_raises_anything_leaves_the_old_release_running(
    supervise, source, driver, told
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [ValueError("a stranger's mistake")]
    source.release(version=2, web=1)
    rejected = asyncio.create_task(told.until(lambda one: one.of(RejectedEvent)))
    await asyncio.wait([rejected, running], return_when="FIRST_COMPLETED")
    assert not running.done(), running.exception()
    error = told.of(RejectedEvent)[0].error
    assert isinstance(error, DriverError)
    assert str(error) == (
        'driver "fake" of hsup-driver-fake 1.2.3 failed to build v2 of shop: '
        "ValueError: a stranger's mistake"
    )
    assert supervisor.dynos() == {"web.1": "up"}
    assert await end(supervisor, running) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"warnings": None},
        {"rejected": "x"},
        {"failure": "x"},
        {"release": Release("shop", 2, slug="here")},
    ],
    ids=repr,
)
async def test_a_source_that_answers_something_wrong_leaves_the_dynos_running(
    supervise, source, told, wrong
):
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


class Changing(dict):
    """Is a mapping at first, and fails from then on."""

    def __init__(self, looks):
        super().__init__()
        self.looks = looks

    def items(self):
        self.looks -= 1
        if self.looks < 0:
            raise RuntimeError("dictionary changed size during iteration")
        return super().items()


async def test_a_release_that_breaks_what_nobody_foresaw_leaves_the_old_one_running(
    supervise, source, told
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(Fetched(Release("shop", 2, config=Changing(looks=1))))
    rejected = asyncio.create_task(told.until(lambda one: one.of(RejectedEvent)))
    await asyncio.wait([rejected, running], return_when="FIRST_COMPLETED")
    assert not running.done(), running.exception()
    assert str(told.of(RejectedEvent)[0].error) == (
        "cannot run v2 of shop: RuntimeError: dictionary changed size during iteration"
    )
    assert supervisor.dynos() == {"web.1": "up"}
    assert await end(supervisor, running) == 0


async def test_the_release_phase_runs_once_and_first(supervise, source, driver, told):
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
    supervise, source, driver, told
):
    driver.statuses = {"release": 7}
    source.release(version=3, web=1, release=1)
    _, running = supervise()
    with pytest.raises(ReleaseFailed, match="v3 of shop exited with status 7") as caught:
        await running
    assert caught.value.exit_code == 7
    assert received(told) == []
    assert told.states("web.1") == []


async def test_a_release_phase_that_fails_later_leaves_the_old_release_running(
    supervise, source, driver, told
):
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


async def test_a_release_that_failed_is_tried_again_only_when_asked_for(
    supervise, source, driver, told, turn_until
):
    driver.statuses = {"release": 0}
    source.release(version=1, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, worker=1, release=1)
    await told.until(lambda one: one.of(RejectedEvent))
    attempts, fetches = driver.attempts, source.fetches
    source.release(version=2, web=1, worker=1, release=1)
    await turn_until(lambda: source.fetches > fetches)
    assert driver.attempts == attempts
    driver.statuses = {"release": 0}
    supervisor.reload()
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_a_release_that_failed_is_tried_again_when_another_author_writes_it(
    supervise, source, driver, told, make_release
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [DriverError("the author of the release may not read it")]
    second = make_release(version=2, web=1, worker=1)
    source.give(Fetched(release=second._replace(author=Author(1000, 1000))))
    await told.until(lambda one: one.of(RejectedEvent))
    source.give(Fetched(release=second._replace(author=Author(0, 0))))
    await told.state("worker.1", "up")
    await end(supervisor, running)


async def test_scaling_runs_no_release_phase(supervise, source, driver, told):
    driver.statuses = {"release": 0}
    source.release(web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(web=2, release=1)
    await told.state("web.2", "up")
    assert driver.attempts == 3
    await end(supervisor, running)


async def test_what_runs_is_scaled_while_a_release_is_passed_over(
    supervise, source, driver, told, sink
):
    driver.statuses = {"release": 0}
    source.release(version=1, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    await told.until(lambda one: one.of(RejectedEvent))
    source.release(version=2, web=2, release=1)
    await told.state("web.2", "up")
    source.release(version=2, web=3, release=1)
    await told.state("web.3", "up")
    assert received(told) == [1, 1, 1]
    assert len(told.of(RejectedEvent)) == 1
    assert len([line for line in sink.said() if "failed before" in line]) == 1
    await end(supervisor, running)


def keep(source, *kept):
    """Have the source keep releases, after those that it has kept; return all of them."""
    kept = [*kept]
    source.keep = kept.append
    source.kept = lambda: kept[-1] if kept else None
    return kept


async def test_a_source_keeps_what_runs(supervise, source, driver, told):
    kept = keep(source)
    driver.statuses = {"release": 0}
    first = source.release(version=1, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    await told.until(lambda one: one.of(RejectedEvent))
    assert kept == [first]
    await end(supervisor, running)


async def test_what_was_kept_starts_without_its_release_phase(supervise, source, driver, told):
    keep(source, source.release(silently=True, web=1, release=1))
    source.release(web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_first_release_fails(supervise, source, driver, told):
    keep(source, source.release(silently=True, version=1, web=1, release=1))
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    (rejected,) = told.of(RejectedEvent)
    assert rejected.running == 1
    assert received(told) == [1]
    await end(supervisor, running)


@pytest.mark.parametrize(
    "error",
    [DriverError("no space"), ChecksumError("0" * 64, "f" * 64, hint="x"), ValueError("a slip")],
    ids=repr,
)
async def test_what_was_kept_runs_where_the_first_release_cannot_be_built(
    supervise, source, driver, told, error
):
    kept = source.release(silently=True, version=1, web=1)
    keep(source, kept)
    driver.build_failures = [error]
    source.release(version=2, command="better", web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    (rejected,) = told.of(RejectedEvent)
    assert rejected.running == 1
    assert str(error) in str(rejected.error)
    assert driver.built == [kept]
    assert received(told) == [1]
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_first_releases_slug_is_none(supervise, source, told):
    keep(source, source.release(silently=True, version=1, web=1))
    error = ReleaseRejected("cannot run v2", [Fault("the slug", "its checksum is wrong")])

    def fetch_slug(release):
        if release.version == 2:
            raise error

    source.fetch_slug = fetch_slug
    source.release(version=2, command="better", web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert [(one.error, one.running) for one in told.of(RejectedEvent)] == [(error, 1)]
    assert received(told) == [1]
    await end(supervisor, running)


async def test_what_was_kept_has_the_formation_of_the_release_that_fails(
    supervise, source, driver, told
):
    keep(source, source.release(silently=True, version=1, web=3, release=1))
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert supervisor.dynos() == {"web.1": "up"}
    await end(supervisor, running)


async def test_a_release_phase_that_failed_is_not_run_again_where_what_was_kept_fails(
    supervise, source, driver, told, turn_until
):
    keep(source, source.release(silently=True, version=1, web=1))
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, worker=1, release=1)
    supervisor, running = supervise(stays=True, asked=Asked(quantities={"worker": 1}))
    await told.until(lambda one: one.of(RejectedEvent))
    assert told.of(RejectedEvent)[0].running is None
    fetches = source.fetches
    source.release(version=2, web=2, worker=1, release=1)
    await turn_until(lambda: source.fetches > fetches)
    source.release(version=2, web=3, worker=1, release=1)
    await turn_until(lambda: source.fetches > fetches + 1)
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_a_release_that_cannot_be_built_is_not_built_each_time_that_a_source_answers(
    supervise, source, driver, told, turn_until
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.build_failures = [DriverError("no space")] * 3
    for quantity in (1, 2, 3):
        fetches = source.fetches
        source.release(version=2, command="better", web=quantity)
        await turn_until(lambda before=fetches: source.fetches > before)
    await told.state("web.3", "up")
    assert len(told.of(RejectedEvent)) == 1
    assert len(driver.build_failures) <= 2
    await end(supervisor, running)


@pytest.mark.usefixtures("soon")
async def test_a_release_phase_that_has_passed_is_not_run_again_after_a_failure(
    supervise, source, driver, told
):
    driver.statuses = {"release": 0}
    fail = [DriverError("engine away")]

    def keep_only(_):
        if fail:
            raise fail.pop()
        return ()

    driver.keep_only, driver.adopt = keep_only, None
    source.release(web=0, release=1)
    supervisor, running = supervise(stays=True)
    await told.until(lambda one: one.of(ReleaseReceived))
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_a_failure_while_a_first_release_is_waited_for_does_not_end_hsup(
    supervise, source, told, sink
):
    supervisor, running = supervise()
    await sink.until(lambda one: "There is no release yet, waiting for one" in one.said())
    source.give(SourceError("away"))
    await told.until(lambda one: one.of(SourceFailed))
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_what_was_kept_and_cannot_be_built_any_more_ends_hsup(supervise, source, driver):
    keep(source, source.release(silently=True, web=1))
    driver.build_failures = [DriverError("no space")]
    source.release(web=1)
    _, running = supervise()
    with pytest.raises(DriverError, match="no space"):
        await running


@pytest.mark.usefixtures("soon")
async def test_what_cannot_be_kept_is_kept_when_there_is_room(supervise, source, sink):
    kept = keep(source)
    full = [SourceError("no space"), SourceError("no space"), SourceError("no space")]

    def fail(release):
        if full:
            raise full.pop()
        kept.append(release)

    source.keep = fail
    release = source.release(web=1)
    supervisor, running = supervise()
    await sink.until(lambda one: f"Kept {release} now, for the next start" in one.said())
    assert kept == [release]
    assert sink.said().count("Warning: no space") == 1
    await end(supervisor, running)


@pytest.mark.usefixtures("soon")
async def test_what_cannot_be_kept_is_kept_when_there_is_room_though_a_later_release_fails(
    supervise, source, driver, told, sink
):
    kept = keep(source)
    is_full = True

    def fail(release):
        if is_full:
            raise SourceError("no space")
        kept.append(release)

    source.keep = fail
    runs = source.release(version=2, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=3, web=1, release=1)
    await told.until(lambda one: one.of(RejectedEvent))
    is_full = False
    await sink.until(lambda one: f"Kept {runs} now, for the next start" in one.said())
    assert kept == [runs]
    await end(supervisor, running)


@pytest.mark.usefixtures("soon")
async def test_what_was_scaled_is_kept_when_there_is_room(supervise, source, driver, told, sink):
    kept = keep(source)
    full = []

    def fail(release):
        if full:
            raise full.pop()
        kept.append(release)

    source.keep = fail
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.statuses = {"release": 1}
    source.release(version=2, web=1, release=1)
    await told.until(lambda one: one.of(RejectedEvent))
    full += [SourceError("no space")] * 2
    source.release(version=2, web=2, release=1)
    await sink.until(lambda one: "Kept v1 of shop now, for the next start" in one.said())
    assert kept[-1].process("web").quantity == 2
    await end(supervisor, running)


@pytest.mark.usefixtures("soon")
async def test_what_cannot_be_kept_is_kept_when_there_is_room_though_the_source_fails(
    supervise, source, told, sink
):
    kept = keep(source)
    is_full = True

    def fail(release):
        if is_full:
            raise SourceError("no space")
        kept.append(release)

    source.keep = fail
    runs = source.release(web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.give(SourceError("away"))
    await told.until(lambda one: one.of(SourceFailed))
    is_full = False
    await sink.until(lambda one: f"Kept {runs} now, for the next start" in one.said())
    assert kept == [runs]
    await end(supervisor, running)


@pytest.mark.parametrize("ability", ["keep", "kept"])
async def test_a_source_that_fails_to_keep_disturbs_nothing(supervise, source, sink, ability):
    def fail(*_):
        raise ValueError("a slip")

    keep(source)
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


async def test_what_was_kept_runs_where_the_source_cannot_be_read(supervise, source, told):
    keep(source, source.release(silently=True, version=1, web=1))
    source.give(SourceError("loaded is broken"))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert received(told) == [1]
    assert str(told.of(SourceFailed)[0].error) == "loaded is broken"
    source.release(version=2, web=2)
    await told.state("web.2", "up")
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_source_has_a_fault_only(supervise, source, told, sink):
    keep(source, source.release(silently=True, version=1, web=1))
    source.give(Fetched(None, rejected=ReleaseRejected("cannot read Procfile", [Fault("", "x")])))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert [one.running for one in told.of(RejectedEvent)] == [1]
    assert not [line for line in sink.said() if "no release yet" in line]
    await end(supervisor, running)


async def test_what_was_kept_runs_where_the_newest_lacks_what_the_user_has_typed(
    supervise, source, told
):
    keep(source, source.release(silently=True, version=1, worker=1))
    source.release(version=2, web=1)
    supervisor, running = supervise(asked=Asked(quantities={"worker": 1}))
    await told.state("worker.1", "up")
    assert [one.running for one in told.of(RejectedEvent)] == [1]
    await end(supervisor, running)


@pytest.fixture(params=["", "file://", "file://localhost"])
def folder_slug(request, tmp_path):
    return Slug(f"{request.param}{tmp_path}")


async def test_a_release_phase_runs_again_where_the_code_is_a_folder(
    supervise, source, driver, told, folder_slug
):
    release = source.release(silently=True, web=1, release=1)
    release = release._replace(slug=folder_slug)
    keep(source, release)
    driver.statuses = {"release": 0}
    source.give(Fetched(release))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert driver.attempts == 2
    await end(supervisor, running)


async def test_what_was_kept_runs_though_its_release_phase_fails_now(
    supervise, source, driver, told, tmp_path
):
    release = source.release(silently=True, web=1, release=1)
    release = release._replace(slug=Slug(str(tmp_path)))
    keep(source, release)
    driver.statuses = {"release": 1}
    source.give(Fetched(release))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert [one.running for one in told.of(RejectedEvent)] == [1]
    await end(supervisor, running)


async def test_a_release_phase_that_has_passed_is_not_run_again_where_dynos_run_once(
    supervise, source, driver, told
):
    release = source.release(web=1, release=1)
    keep(source, release)
    supervisor, running = supervise(one_shot=True)
    await told.state("web.1", "up")
    assert driver.attempts == 1
    await end(supervisor, running)


async def test_what_was_kept_does_not_run_once_instead_of_what_was_asked_for(
    supervise, source, driver
):
    keep(source, source.release(silently=True, version=1, web=1))
    driver.statuses = {"release": 3}
    source.release(version=2, web=1, release=1)
    _, running = supervise(one_shot=True)
    with pytest.raises(ReleaseFailed):
        await running


async def test_a_release_phase_that_cannot_be_started_fails(supervise, source, driver):
    driver.failures = [DynoStartError("no such command")]
    source.release(web=1, release=1)
    _, running = supervise()
    with pytest.raises(ReleaseFailed):
        await running


async def test_a_release_phase_that_lasts_too_long_is_stopped_and_has_failed(
    supervise, source, driver, monkeypatch
):
    monkeypatch.setattr("hsup.supervision.rollout.RELEASE_PHASE_SECONDS", 0.2)
    source.release(web=1, release=1)
    _, running = supervise()
    with pytest.raises(ReleaseFailed, match=r"v1 of shop did not end in 0\.2 s"):
        await running
    (phases,) = driver.started.values()
    assert phases[0].signals == [signal.SIGTERM]


async def test_a_type_that_is_none_is_an_error_whatever_was_kept(supervise, source):
    keep(source, source.release(silently=True, version=1, web=1))
    source.release(version=2, web=1)
    _, running = supervise(asked=Asked(quantities={"wbe": 1}))
    with pytest.raises(UsageError, match="wbe"):
        await running


async def test_a_stop_during_the_release_phase_stops_it(supervise, source, driver, told):
    source.release(web=1, release=1)
    supervisor, running = supervise()
    await told.until(lambda one: any("up" in one.states(name) for name in driver.started))
    (name,) = driver.started
    assert await end(supervisor, running) == 0
    (phase,) = driver.started[name]
    assert phase.signals == [signal.SIGTERM]
    assert told.states("web.1") == []


async def test_a_release_phase_that_had_to_be_killed_is_told_by_the_exit_status(
    supervise, source, driver, told
):
    driver.obeys = False
    source.release(web=1, release=1)
    supervisor, running = supervise(grace_seconds=0.001)
    await told.until(lambda one: any("up" in one.states(name) for name in driver.started))
    assert await end(supervisor, running) == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
async def test_the_exit_status_tells_what_hsup_was_stopped_by(
    supervise, source, told, number, status
):
    source.release(web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    assert await end(supervisor, running, number) == status


async def test_a_dyno_that_had_to_be_killed_makes_the_status_1(supervise, source, driver, told):
    driver.obeys = False
    source.release(web=1)
    supervisor, running = supervise(grace_seconds=0.001)
    await told.state("web.1", "up")
    assert await end(supervisor, running) == 1


async def test_a_second_signal_waits_for_nobody(supervise, source, driver, told):
    driver.obeys = False
    source.release(web=1, worker=1)
    supervisor, running = supervise(grace_seconds=10_000)
    await told.state("web.1", "up")
    await told.state("worker.1", "up")
    supervisor.stop(signal.SIGTERM)
    await told.state("web.1", "stopping")
    supervisor.stop(signal.SIGINT)
    assert await running == 130


async def test_a_formation_of_none_is_waited_with_where_it_may_change(supervise, source, told):
    source.release(web=0)
    supervisor, running = supervise(follows_formation=True)
    await told.until(lambda one: one.of(ReleaseReceived))
    source.release(web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_a_stop_before_there_is_a_release_ends_hsup(supervise, sink):
    supervisor, running = supervise()
    await sink.until(lambda one: "There is no release yet, waiting for one" in one.said())
    assert await end(supervisor, running) == 0


async def test_one_shot_ends_with_the_highest_status(supervise, source, driver):
    driver.statuses = {"web": 0, "worker": 4, "clock": 2}
    source.release(web=1, worker=1, clock=1)
    _, running = supervise(one_shot=True)
    assert await running == 4
    assert driver.attempts == 3


async def test_one_shot_that_was_stopped_ends_as_what_ended_by_itself(
    supervise, source, driver, told
):
    driver.statuses = {"clock": 3}
    source.release(web=1, clock=1)
    supervisor, running = supervise(one_shot=True)
    dyno = await driver.dyno("web.1")
    await told.state("clock.1", "complete")
    assert await end(supervisor, running) == 3
    assert dyno.signals == [signal.SIGTERM]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_one_shot_that_was_stopped_ends_as_any_other(
    supervise, source, driver, number, status
):
    source.release(web=1)
    supervisor, running = supervise(one_shot=True)
    await driver.dyno("web.1")
    supervisor.stop(number)
    assert await running == status


async def test_one_shot_ends_with_255_for_what_could_not_be_started(supervise, source, driver):
    driver.failures = [DynoStartError("no such command")]
    source.release(web=1)
    _, running = supervise(one_shot=True)
    assert await running == 255


async def test_one_shot_runs_no_second_release(supervise, source, driver, told):
    source.release(version=1, web=1)
    _, running = supervise(one_shot=True)
    dyno = await driver.dyno("web.1")
    source.release(version=2, web=1, worker=1)
    await told.state("web.1", "up")
    dyno.end(0)
    assert await running == 0
    assert received(told) == [1]


async def test_hsup_ends_when_nothing_is_left_to_run(supervise, source, told, sink):
    source.release(version=1, web=1)
    _, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, web=0)
    assert await running == 0
    assert sink.said("supervisor")[-1] == "Nothing is left to run"


async def test_hsup_that_stays_waits_when_nothing_is_left_to_run(supervise, source, told):
    source.release(version=1, web=0)
    supervisor, running = supervise(stays=True)
    await told.until(lambda one: one.of(ReleaseReceived))
    source.release(version=2, web=1)
    await told.state("web.1", "up")
    assert await end(supervisor, running) == 0


async def test_reload_asks_the_source_again(supervise, source, told):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(silently=True, version=2, web=1, worker=1)
    supervisor.reload()
    await told.state("worker.1", "up")
    await end(supervisor, running)


class Service:
    """Runs beside the supervisor, and notes what it sees."""

    def __init__(self, error=None):
        self.error = error
        self.seen = None
        self.was_cancelled = False

    async def run(self, supervisor):
        if self.error:
            raise self.error
        self.seen = supervisor
        try:
            await asyncio.Event().wait()
        finally:
            self.was_cancelled = True


async def test_a_service_runs_beside_and_is_cancelled_at_the_end(supervise, source, told):
    service = Service()
    source.release(web=1)
    supervisor, running = supervise(services=[service])
    await told.state("web.1", "up")
    assert service.seen is supervisor
    await end(supervisor, running)
    assert service.was_cancelled


async def test_a_service_that_fails_ends_alone(supervise, source, told, sink, calls):
    source.release(web=1)
    failing = Part("service", "bug", "hsup-bug", "1.0")
    services = [
        GuardedService(calls, failing, Service(ValueError("a stranger's mistake"))),
        Service(),
    ]
    supervisor, running = supervise(services=services)
    await told.state("web.1", "up")
    text = 'service "bug" of hsup-bug 1.0 failed to serve: ValueError: a stranger\'s mistake'
    assert f"Error: {text}" in sink.said("supervisor")
    assert await end(supervisor, running) == 0
    assert services[1].was_cancelled


async def test_a_watch_that_does_not_heed_its_end_is_abandoned(
    supervise, source, told, calls, monkeypatch
):
    monkeypatch.setattr("hsup.supervision.supervisor.LAST_SECONDS", 0.0)

    async def changes():
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
    supervise, source, told, sink
):
    source.release(web=1)

    async def changes():
        yield None
        await told.state("web.1", "up")
        raise OSError("no more watches")

    source.changes = changes
    supervisor, running = supervise()
    text = (
        'Error: source "memory" of hsup-source-memory 1.2.3 failed to watch for changes: '
        "OSError: no more watches; send SIGHUP to have the release fetched again"
    )
    await sink.until(lambda one: text in one.said("supervisor"))
    assert supervisor.dynos() == {"web.1": "up"}
    assert await end(supervisor, running) == 0


async def test_a_source_that_raises_anything_leaves_the_dynos_running(
    supervise, source, told, turn_until
):
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


class SweepingDriver:
    """Finds something that a dead hsup has left behind."""

    def __init__(self, driver):
        self.driver = driver

    def build(self, release):
        self.driver.build(release)

    async def start(self, spec, output):
        return await self.driver.start(spec, output)

    def sweep(self):
        return ["2 processes of web.1"]


async def test_leftovers_are_removed_before_anything_is_started(
    supervise, source, driver, told, sink
):
    source.release(web=1)
    supervisor, running = supervise(other_driver=SweepingDriver(driver), asked=Asked())
    await told.state("web.1", "up")
    assert sink.said("supervisor")[1] == "Removed what a dead hsup left: 2 processes of web.1"
    await end(supervisor, running)


async def test_a_second_signal_does_not_wait_until_leftovers_are_removed(
    supervise, source, driver, turn_until
):
    may_end = threading.Event()
    sweeping = SweepingDriver(driver)
    begun = threading.Event()
    sweeping.sweep = lambda: (begun.set(), may_end.wait())
    source.release(web=1)
    supervisor, running = supervise(other_driver=sweeping)
    await turn_until(begun.is_set)
    supervisor.stop(signal.SIGTERM)
    assert await end(supervisor, running) == 128 + signal.SIGTERM
    assert driver.attempts == 0
    may_end.set()


async def test_a_reload_and_a_change_at_once_ask_for_both(supervise, source, told):
    """A source may look for no more than what has changed."""
    begun, may_go_on, enough = (threading.Event() for _ in range(3))
    answer = Fetched(release=source.release(web=1))
    supervisor, running = supervise()
    await told.state("web.1", "up")

    def slow():
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


class AdoptingDriver(SweepingDriver):
    """Has dynos of a dead hsup, and keeps those that are wanted."""

    def __init__(self, driver, *names):
        super().__init__(driver)
        self.left = list(names)
        self.kept = []

    def sweep(self):
        return []

    def keep_only(self, specs):
        self.kept = [name for name in self.left if name in {str(one.name) for one in specs}]
        return [f"the container {name}" for name in self.left if name not in self.kept]

    async def adopt(self, spec, output):
        if str(spec.name) not in self.kept:
            return None
        self.kept.remove(str(spec.name))
        return await self.driver.start(spec, output)


@pytest.fixture
def supervise_adopting(supervise, driver):
    """Return a starter of supervisors whose driver finds dynos of a dead hsup."""
    return lambda *names: supervise(other_driver=AdoptingDriver(driver, *names))


async def test_a_release_with_too_many_dynos_takes_no_port_of_a_later_one(
    supervise, source, told, monkeypatch
):
    monkeypatch.setattr("hsup.launch._HIGHEST_PORT", 5001)
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, web=1, worker=2)
    await told.until(lambda one: one.of(RejectedEvent))
    assert "no port is left for a dyno" in str(told.of(RejectedEvent)[0].error)
    source.release(version=3, web=1, clock=1)
    await told.state("clock.1", "up")
    await end(supervisor, running)


async def test_a_release_whose_dynos_cannot_be_adopted_takes_no_port_of_a_later_one(
    supervise, source, driver, told, monkeypatch
):
    monkeypatch.setattr("hsup.launch._HIGHEST_PORT", 5000)
    adopting = AdoptingDriver(driver)
    failures = [DriverError("no engine")]

    def keep_only(_):
        if failures:
            raise failures.pop()
        return []

    adopting.keep_only = keep_only
    source.release(version=1, worker=1)
    supervisor, running = supervise(other_driver=adopting, stays=True)
    await told.until(lambda one: one.of(RejectedEvent))
    source.release(version=2, web=1)
    await told.state("web.1", "up")
    await end(supervisor, running)


async def test_dynos_of_a_dead_hsup_are_taken_over_and_others_started(
    supervise_adopting, source, told, sink
):
    source.release(web=2)
    supervisor, running = supervise_adopting("web.1", "worker.1")
    await told.state("web.1", "up")
    await told.state("web.2", "up")
    assert sink.said("web.1")[0] == "Took over the running process from a dead hsup"
    assert sink.said("web.2")[0] == "Starting process with command `serve web`"
    assert "Removed what a dead hsup left: the container worker.1" in sink.said("supervisor")
    assert await end(supervisor, running) == 0


async def test_a_dyno_that_was_taken_over_and_ends_is_started_as_any_other(
    supervise_adopting, source, driver, sink
):
    source.release(web=1)
    supervisor, running = supervise_adopting("web.1")
    (await driver.dyno("web.1")).end(1)
    await driver.dyno("web.1", nth=2)
    assert sink.said("web.1").count("Starting process with command `serve web`") == 1
    assert await end(supervisor, running) == 0


async def test_a_later_release_takes_nothing_over(supervise_adopting, source, driver, sink):
    source.release(version=1, web=1)
    supervisor, running = supervise_adopting("web.1", "worker.1")
    await driver.dyno("web.1")
    source.release(version=2, web=1, worker=1)
    await driver.dyno("worker.1")
    assert sink.said("worker.1")[0] == "Starting process with command `serve worker`"
    assert await end(supervisor, running) == 0


@pytest.fixture
def blocking_build(driver, monkeypatch, turn_until):
    """Have the build of v2 wait until it is not wanted; give what waits for its begin."""
    begun = threading.Event()
    build = driver.build

    def block(release):
        if release.version == 2:
            begun.set()
            pause(60.0)
        build(release)

    monkeypatch.setattr(driver, "build", block)
    return lambda: turn_until(begun.is_set)


async def test_a_newer_release_gives_up_the_build_of_an_older_one(
    supervise, source, told, sink, blocking_build
):
    source.release(version=1, web=1)
    supervisor, running = supervise()
    await told.state("web.1", "up")
    source.release(version=2, config={"A": "2"}, web=1)
    await blocking_build()
    source.release(version=3, config={"A": "3"}, web=1)
    await told.until(lambda one: received(one) == [1, 3])
    assert told.of(RejectedEvent) == []
    assert "Gave up v2 of shop, as v3 of shop has arrived" in sink.said()
    await end(supervisor, running)


async def test_however_many_releases_supersede_one_another_hsup_needs_no_more_stack(
    supervise, source, driver, sink, turn_until
):
    begun, depths = [], []

    def block(release):
        begun.append(release.version)
        pause(60.0)

    def write(batch):
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


async def test_a_stop_gives_up_a_build(supervise, source, turn_until, monkeypatch, driver):
    begun, ended = threading.Event(), threading.Event()

    def block(_):
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
async def test_a_build_that_takes_long_is_told(supervise, source, sink, turn_until, monkeypatch):
    monkeypatch.setattr("hsup.supervision.rollout.FIRST_SECONDS", 0.0)
    source.release(version=2, web=1)
    supervisor, running = supervise()
    await turn_until(lambda: "Preparing v2 of shop takes more than 0 s" in sink.said())
    assert sink.said().count("Preparing v2 of shop takes more than 0 s") == 1
    assert "preparing" in [one.event.name for one in sink.batches]
    await end(supervisor, running)


async def test_a_build_that_takes_long_says_how_far_it_is(
    supervise, source, sink, *, turn_until, monkeypatch, driver
):
    monkeypatch.setattr("hsup.supervision.rollout.FIRST_SECONDS", 0.0)
    monkeypatch.setattr("hsup.supervision.rollout.EVERY_SECONDS", 0.001)
    done = iter(range(1000))

    def block(_):
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
def fetching(source, monkeypatch):
    """Have the source fetch slugs itself; return the versions that it was asked for."""
    asked = []

    def fetch_slug(release):
        asked.append(release.version)
        if release.version == 2:
            pause(60.0)
        if release.version == 4:
            raise DriverError("no slug for now")

    monkeypatch.setattr(source, "fetch_slug", fetch_slug, raising=False)
    return asked


async def test_a_newer_release_gives_up_what_a_source_fetches(
    supervise, source, told, *, fetching, turn_until, driver, monkeypatch
):
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
