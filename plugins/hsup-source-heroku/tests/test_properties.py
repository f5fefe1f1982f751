"""In any order of answers and failures, the right release runs, and keeps running."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from signal import SIGTERM
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsup.api import OutputPipes
from hsup.errors import DriverError
from hsup.model import DynoName, DynoSpec, ExitStatus, Release
from hsup.output.logs import LogRouter
from hsup.plugins.calls import Calls, PluginPart
from hsup.plugins.guards import GuardedDriver, GuardedSource
from hsup.supervision.formation import ScaleRequest
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.supervisor import Supervisor
from hsup_source_heroku.budget import Budget
from hsup_source_heroku.client import Client
from hsup_source_heroku.release_cache import ReleaseCache
from hsup_source_heroku.snapshot import Reader
from hsup_source_heroku.source import HerokuSource
from hsup_source_heroku.testing import PlatformApi, apps
from hsup_source_heroku.testing.platform_api import SeenRequest

BUDGET, HOUR_SECONDS = 25, 3600.0
CADENCE_SECONDS = 60.0
#: The wait after a failure may be as long as what is due twice.
TURNS_TO_RECOVER = 5
OTHER_CHECKSUM = f"SHA256:{'0' * 64}"

TYPES = ("web", "worker")
STATUSES = st.sampled_from(["succeeded", "succeeded", "failed", "pending", "expired"])
FAULTS = (
    "broken_json",
    "cut",
    "hang_up",
    "not_utf8",
    "not_modified",
    "redirect",
    401,
    403,
    404,
    429,
    500,
    503,
)
PATHS = ("", "/releases", "/formation", "/config-vars", "/slugs/", "/blobs/")

#: What may happen between two times that hsup asks; each is a method of `World`.
HAPPENINGS = st.one_of(
    st.tuples(st.just("deploy"), STATUSES),
    st.tuples(st.just("configure"), STATUSES),
    st.tuples(st.just("deploy_while_asked"), st.sampled_from(PATHS)),
    st.tuples(st.just("deploy_faulty"), st.sampled_from([OTHER_CHECKSUM, "SHA256:abc"])),
    st.tuples(st.just("fail_build")),
    st.tuples(st.just("reload")),
    st.tuples(st.just("finish")),
    st.tuples(st.just("scale"), st.sampled_from(TYPES), st.integers(0, 3)),
    st.tuples(st.just("fail"), st.sampled_from(FAULTS), st.integers(1, 4), st.sampled_from(PATHS)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("go_away")),
    st.tuples(st.just("come_back")),
    st.tuples(st.just("wait")),
)


class World:
    """An application with its history, and the hsup that follows it."""

    driver: JudgingDriver
    supervisor: Supervisor

    def __init__(self, api: PlatformApi) -> None:
        self.api = api
        self.app = api.create_app("shop")
        self.quantities = {name: [1] for name in TYPES}
        self.deploy("succeeded")
        self.scale("worker", 1)

    def deploy(self, status: str) -> apps.Release:
        """Release code and config with the number of their release."""
        number = str(len(self.app.releases) + 1)
        types = {name: f"{name} {number}" for name in TYPES}
        return self.app.release(status=status, config={"CODE": number}, processes=types)

    def configure(self, status: str) -> None:
        code = self.app.releases[-1].config["CODE"]
        changed = {"CODE": code, "CHANGED": str(len(self.app.releases))}
        self.app.release(status=status, config=changed)

    def deploy_faulty(self, checksum: str) -> None:
        self.deploy("succeeded").slug.checksum = checksum

    def fail_build(self) -> None:
        self.driver.failures = 1

    def reload(self) -> None:
        self.supervisor.reload()

    def deploy_while_asked(self, path: str) -> None:
        def deploy(request: SeenRequest) -> None:
            if path in request.path:
                self.api.watch = None
                self.deploy("succeeded")

        self.api.watch = deploy

    def finish(self) -> None:
        for release in self.app.releases:
            if release.status == "pending":
                release.status = "succeeded"

    def scale(self, name: str, quantity: int) -> None:
        self.app.scale(**{name: quantity})
        self.quantities[name].append(quantity)

    def fail(self, fault: Any, times: int, path: str) -> None:
        made = self.api.status(fault) if isinstance(fault, int) else getattr(self.api, fault)()
        self.api.fail(made, times, path)

    def expire(self) -> None:
        self.api.expire_blobs()

    def go_away(self) -> None:
        self.api.stop()

    def come_back(self) -> None:
        self.api.start()

    def wait(self) -> None:
        pass


class JudgingDriver:
    """Runs dynos in memory, and lists what should not have happened in `wrong`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.running: dict[DynoName, DynoSpec] = {}
        self.wrong: list[object] = []
        self.is_ending = False
        self.failures = 0

    def build(self, release: Release) -> None:
        if self.failures:
            self.failures = 0
            raise DriverError("for once")
        with open(release.slug.location, "rb") as file:
            self.judge(file.read() == self.released(release.version).slug.archive, release)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> JudgedDyno:
        del output
        return JudgedDyno(spec, self)

    def released(self, version: int) -> apps.Release:
        return self.world.app.releases[version - 1]

    def judge(self, is_right: bool, what: object) -> None:
        if not is_right:
            self.wrong.append(what)


class JudgedDyno:
    """A dyno that runs until it is signalled."""

    address = None

    def __init__(self, spec: DynoSpec, driver: JudgingDriver) -> None:
        self._spec, self._driver = spec, driver
        self._ended = asyncio.get_running_loop().create_future()
        self._scaled = len(driver.world.quantities[spec.name.type])
        release, name = driver.released(spec.release_version), spec.name
        driver.judge(release.status == "succeeded" and is_good(release), spec)
        driver.judge(spec.config == release.config, spec)
        driver.judge(spec.command.words == (release.slug.processes[name.type],), spec)
        driver.running[name] = spec

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self._ended)

    async def signal(self, number: int) -> None:
        name, world = self._spec.name, self._driver.world
        del self._driver.running[name]
        newer = world.app.releases[self._spec.release_version :]
        is_outdated = any(one.status == "succeeded" and is_good(one) for one in newer)
        is_surplus = min(world.quantities[name.type][self._scaled - 1 :]) < name.number
        self._driver.judge(self._driver.is_ending or is_outdated or is_surplus, self._spec)
        self._ended.set_result(ExitStatus(signal=number))

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        del grace_seconds
        await self._ended
        return False


class Clock:
    """A clock that advances when the test resumes a sleeping hsup."""

    def __init__(self) -> None:
        self.now = 0.0
        self._schedule: asyncio.Queue[None] = asyncio.Queue()
        self._sleeping = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self._sleeping.set()
        await self._schedule.get()
        self.now += seconds

    async def turn(self) -> None:
        """Return once hsup has asked for what was due, and is about to sleep again."""
        await self._sleeping.wait()
        self._sleeping.clear()
        self._schedule.put_nowait(None)
        await self._sleeping.wait()


class Spent(Budget):
    """A budget that notes when each request was sent; those for slugs may come at any time."""

    def __init__(self) -> None:
        super().__init__(BUDGET)
        self.sent: list[float] = []

    def spend(self, now: float) -> None:
        self.sent.append(now)
        super().spend(now)


def is_good(release: apps.Release) -> bool:
    """Tell whether the archive of a slug is the one that the platform built."""
    digest = hashlib.sha256(release.slug.archive).hexdigest()
    return release.slug.checksum == f"SHA256:{digest}"


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(HAPPENINGS, max_size=15))
def test_no_sequence_of_answers_stops_a_healthy_dyno_or_mixes_releases(
    happenings: list[tuple[str, Any]],
) -> None:
    hurried = mock.patch("hsup_source_heroku.archive._BACKOFF_SECONDS", 0.001)
    with (
        tempfile.TemporaryDirectory() as directory,
        hurried,
        whose_threads_have_ended(),
        PlatformApi() as api,
    ):
        asyncio.run(asyncio.wait_for(live_through(happenings, World(api), directory), 60))
        assert api.invalid == []


@contextmanager
def whose_threads_have_ended() -> Iterator[None]:
    """Wait at the end for threads started within, as those of given-up calls continue."""
    before = threading.enumerate()
    yield
    for thread in set(threading.enumerate()) - set(before):
        thread.join(60)
        assert not thread.is_alive()


async def live_through(happenings: Iterable[tuple[Any, ...]], world: World, directory: str) -> None:
    clock, driver, budget = Clock(), JudgingDriver(world), Spent()
    source = make_source(world.api, clock, budget, directory)
    calls, part = Calls(), PluginPart("part", "memory", "hsup-memory", "1.2.3")
    supervisor = Supervisor(
        SupervisorOptions(
            source_name="heroku",
            driver_name="memory",
            asked=ScaleRequest(follows_release=True),
            follows_formation=True,
        ),
        source=GuardedSource(calls, part, source),
        driver=GuardedDriver(calls, part, driver),
        router=LogRouter([]),
        observe=lambda _: None,
        calls=calls,
    )
    world.driver, world.supervisor = driver, supervisor
    running = asyncio.create_task(supervisor.run())
    await clock.turn()
    await until(lambda: driver.running)
    for name, *given_to_it in happenings:
        getattr(world, name)(*given_to_it)
        await clock.turn()
    world.api.heal()
    driver.failures = 0
    clock.now += HOUR_SECONDS
    last = world.deploy("succeeded")
    wanted = {
        (DynoName(name, number + 1), last.version)
        for name in TYPES
        for number in range(world.quantities[name][-1])
    }
    for _ in range(TURNS_TO_RECOVER):
        await clock.turn()
    await until(
        lambda: {(name, one.release_version) for name, one in driver.running.items()} == wanted
    )
    driver.is_ending = True
    supervisor.stop(SIGTERM)
    assert await running == 0
    source.close()
    assert driver.wrong == []
    for moment in budget.sent:
        assert sum(moment - HOUR_SECONDS < one <= moment for one in budget.sent) <= BUDGET
    # Downloads are none of the API's requests, nor is where they are sent on to.
    asked = [one for one in world.api.requests if not one.path.startswith(("/blobs/", "/schema"))]
    assert len(asked) <= len(budget.sent)  # what did not reach the API is spent as well


async def until(is_so: Callable[[], object]) -> None:
    """Wait until a condition is true; fetching slugs and building releases take real time."""
    while not is_so():  # noqa: ASYNC110 - nobody tells when a driver in memory has started
        await asyncio.sleep(0.005)


def make_source(api: PlatformApi, clock: Clock, budget: Budget, directory: str) -> HerokuSource:
    client = Client(api.url, api.token, budget, clock=lambda: clock.now)
    reader = Reader(client, "shop")
    kept = ReleaseCache({"HSUP_HEROKU_DIR": directory}, api.url, "shop", reader.archive_url)
    return HerokuSource(
        reader,
        client,
        kept,
        seconds=CADENCE_SECONDS,
        sleep=clock.sleep,
        clock=lambda: clock.now,
    )
