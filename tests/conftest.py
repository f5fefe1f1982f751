"""What the tests hand in: a source, a driver and a sink in memory; plugins in a folder."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hsup.api import Fetched, Settings
from hsup.events import DynoExited, DynoStateChanged
from hsup.model import Command, DynoName, ExitStatus, ProcessType, Release
from hsup.output.logs import LogRouter
from hsup.plugins.calls import Calls, Part
from hsup.plugins.guards import GuardedDriver, GuardedSource
from hsup.supervision.dyno_spec import dyno_spec
from hsup.supervision.executor import Surroundings
from hsup.supervision.policy import CrashPolicy

LONG_ENOUGH_SECONDS = 60


# That an example takes long tells of the machine.
settings.register_profile("hsup", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hsup")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run an async test on a loop of its own, for a bounded time."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}

    async def in_time():
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await test(**given)

    asyncio.run(in_time())
    return True


class FakeDyno:
    """A dyno in memory, which ends when the test says so."""

    address = None

    def __init__(self, spec, output, *, obeys):
        self.spec = spec
        self.signals = []
        self.graces = []
        self.signal_fault = self.destroy_fault = self.wait_fault = None
        self.hangs_in_destroy = False
        self._obeys = obeys
        self._stdout = os.dup(output.stdout)
        self._ended = asyncio.get_running_loop().create_future()

    def write(self, data):
        os.write(self._stdout, data)

    def end(self, code=0, number=None):
        if not self._ended.done():
            os.close(self._stdout)
            self._ended.set_result(ExitStatus(code=code, signal=number))

    @property
    def has_ended(self):
        return self._ended.done()

    async def wait(self):
        if self.wait_fault:
            raise self.wait_fault
        return await asyncio.shield(self._ended)

    async def signal(self, number):
        self.signals.append(number)
        if self.signal_fault:
            raise self.signal_fault
        if self._obeys:
            self.end(number=number)

    async def destroy(self, grace_seconds=0.0):
        self.graces.append(grace_seconds)
        if self.destroy_fault:
            raise self.destroy_fault
        if self.hangs_in_destroy:
            await asyncio.Event().wait()
        await asyncio.wait([self._ended], timeout=grace_seconds)
        was_running = not self.has_ended
        self.end(number=signal.SIGKILL)
        return was_running


class FakeDriver:
    """Starts dynos in memory; `failures` are raised by the next starts instead."""

    def __init__(self):
        self.obeys = True
        self.built = []
        self.failures = []
        self.build_failures = []
        self.statuses = {}
        self.started = defaultdict(list)
        self.attempts = 0
        self.may_start = asyncio.Event()
        self.may_start.set()
        self._progress = asyncio.Condition()

    def build(self, release):
        if self.build_failures:
            raise self.build_failures.pop(0)
        self.built.append(release)

    async def start(self, spec, output):
        async with self._progress:
            self.attempts += 1
            self._progress.notify_all()
        await self.may_start.wait()
        if self.failures:
            raise self.failures.pop(0)
        dyno = FakeDyno(spec, output, obeys=self.obeys)
        if spec.name.type in self.statuses:
            dyno.end(self.statuses[spec.name.type])
        async with self._progress:
            self.started[str(spec.name)].append(dyno)
            self._progress.notify_all()
        return dyno

    async def dyno(self, name, nth=1):
        """Return the nth dyno of a name, once it is started."""
        async with self._progress:
            await self._progress.wait_for(lambda: len(self.started[name]) >= nth)
            return self.started[name][nth - 1]

    async def attempted(self, times):
        """Return once a start was tried so many times."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.attempts >= times)


def a_release(*, version=1, command="serve", config=None, logplex_url=None, **quantities):
    """Make a release: `a_release(web=2)` has a type `web` with a quantity of two."""
    types = (
        ProcessType(name=name, command=Command((f"{command} {name}",)), quantity=quantity)
        for name, quantity in quantities.items()
    )
    return Release(
        app="shop",
        version=version,
        config=config or {},
        processes=tuple(types),
        logplex_url=logplex_url,
    )


class FakeSource:
    """Answers what the test gave last; an error that was given is raised."""

    def __init__(self):
        self.fetches = 0
        self.before_fetch = lambda: None
        self._answer = Fetched(release=None)
        self._changes = asyncio.Queue()
        self._changes.put_nowait(None)

    def release(self, *, silently=False, **release):
        """Give a release as `a_release` makes it, and return it."""
        made = a_release(**release)
        self.give(Fetched(release=made), silently=silently)
        return made

    def give(self, answer, *, silently=False):
        self._answer = answer
        if not silently:
            self._changes.put_nowait(None)

    def fetch(self):
        self.before_fetch()
        self.fetches += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def changes(self):
        while True:
            yield await self._changes.get()


class MemorySink:
    """Keeps every batch, and is full when the test says so."""

    def __init__(self):
        self.batches = []
        self.is_closed = False
        self.room = asyncio.Event()
        self.room.set()
        self._arrived = asyncio.Event()

    def write(self, batch):
        self.batches.append(batch)
        self._arrived.set()

    @property
    def is_full(self):
        return not self.room.is_set()

    async def drained(self):
        await self.room.wait()

    async def close(self):
        self.is_closed = True

    def written(self, source="app", stream=None, dyno=None):
        return b"".join(
            one.lines
            for one in self.batches
            if one.source == source and stream in (None, one.stream) and dyno in (None, one.dyno)
        )

    def said(self, dyno=None):
        return self.written("hsup", dyno=dyno).decode().splitlines()

    async def until(self, is_so):
        """Return once something holds of this sink."""
        while not is_so(self):
            self._arrived.clear()
            await self._arrived.wait()


class Told:
    """Keeps every event that it is told."""

    def __init__(self):
        self.events = []
        self._arrived = asyncio.Event()

    def __call__(self, event):
        self.events.append(event)
        self._arrived.set()

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def states(self, dyno):
        changes = self.of(DynoStateChanged)
        return [one.after.value for one in changes if str(one.dyno) == dyno]

    def statuses(self, dyno):
        return [one.status for one in self.of(DynoExited) if str(one.dyno) == dyno]

    async def until(self, is_so):
        """Return once something holds of what was told."""
        while not is_so(self):
            self._arrived.clear()
            await self._arrived.wait()

    async def state(self, dyno, state, times=1):
        """Return once a dyno has come into a state so many times."""
        await self.until(lambda told: told.states(dyno).count(state) >= times)


@pytest.fixture(autouse=True)
def _own_log_handlers():
    """Take back where a command has the log printed."""
    before = logging.root.handlers[:]
    yield
    for handler in {*logging.root.handlers} - {*before}:
        logging.root.removeHandler(handler)


@pytest.fixture(autouse=True)
def _no_release_is_kept_on_this_machine(monkeypatch, tmp_path_factory):
    """Have an hsup that a test starts keep what it runs in a folder of the tests."""
    monkeypatch.setenv("HSUP_PROCFILE_DIR", str(tmp_path_factory.getbasetemp() / "kept"))


@pytest.fixture
def turn_until():
    """Return what lets the loop turn until something holds that nobody tells of."""

    async def turn(is_so):
        while not is_so():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)

    return turn


@pytest.fixture
def driver():
    return FakeDriver()


@pytest.fixture
def source():
    return FakeSource()


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def router(sink):
    return LogRouter([sink])


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def guarded_driver(calls, driver):
    """Return the driver as hsup calls it; made when it is asked for, with its abilities then."""
    part = Part("driver", "fake", "hsup-driver-fake", "1.2.3")
    return lambda other=None: GuardedDriver(calls, part, other or driver)


@pytest.fixture
def guarded_source(calls, source):
    """Return the source as hsup calls it, likewise."""
    part = Part("source", "memory", "hsup-source-memory", "1.2.3")
    return lambda: GuardedSource(calls, part, source)


@pytest.fixture
def surround(guarded_driver, router, told):
    """Return a maker of surroundings: restarts are immediate unless the test has a policy."""

    def make(policy=None, grace_seconds=30.0, tell=told):
        return Surroundings(
            driver=guarded_driver(),
            router=router,
            policy=policy or CrashPolicy(base_seconds=0),
            grace_seconds=grace_seconds,
            tell=tell,
        )

    return make


@pytest.fixture
def make_release():
    """Return a maker of releases: `make_release(web=2)`."""
    return a_release


@pytest.fixture
def make_spec(make_release):
    """Return a maker of specs: `make_spec("web.1")`."""

    def make(name="web.1", command="serve", port=5000, config=None, version=1):
        kind, _, number = name.partition(".")
        release = make_release(version=version, config=config)
        return dyno_spec(release, DynoName(kind, int(number)), Command((command,)), port=port)

    return make


@pytest.fixture
def settings(tmp_path):
    return Settings(folder=str(tmp_path), environ={})


@pytest.fixture
def pipe():
    """Give the reading and the writing end of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:  # the test was about that
            pass


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return an installer of plugins: a module and its `.dist-info`, on `sys.path`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return Installer(site)


class Installer:
    """Makes distributions as pip leaves them in a folder."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self._numbers = itertools.count(1)

    def __call__(self, distribution, code, *, version="1.2.3", entry_point="broken", module=None):
        """Install a distribution whose plugin is a module of that code."""
        # A module of the same name that another test imported is still known to Python.
        unique = f"{self.site.parent.name}_{next(self._numbers)}".replace("-", "_")
        module = module or f"plugin_{unique}"
        (self.site / f"{module}.py").write_text(code)
        points = f"[console_scripts]\nother = other:main\n\n[hsup]\n{entry_point} = {module}\n"
        self.metadata(distribution, points, version=version)
        return module

    def metadata(self, distribution, entry_points, *, version="1.2.3"):
        folder = self.site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        fields = f"Metadata-Version: 2.4\nName: {distribution}\nVersion: {version}\n"
        (folder / "METADATA").write_text(f"{fields}\nName: not-this\n")
        (folder / "entry_points.txt").write_text(entry_points)
        return folder
