"""What the tests hand in: a source, a driver and a sink in memory; plugins in a directory."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from hsup.api import Settings
from hsup.events import Event
from hsup.output.logs import LogRouter
from hsup.plugins.calls import Calls, PluginPart
from hsup.plugins.guards import GuardedDriver, GuardedSource
from hsup.supervision.executor import ExecutorContext
from hsup.supervision.policy import CrashPolicy
from hsup.testing import EventRecorder, MemoryDriver, MemorySink, MemorySource

LONG_ENOUGH_SECONDS = 60


# That an example takes long tells of the machine.
hypothesis.settings.register_profile(
    "hsup", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("hsup")


#: Lets the loop turn until something holds.
TurnUntil = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run an async test on a loop of its own, for a bounded time."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}

    async def in_time() -> None:
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await test(**given)

    asyncio.run(in_time())
    return True


@pytest.fixture(autouse=True)
def _own_log_handlers() -> Iterator[None]:
    """Take back where a command has the log printed."""
    before = logging.root.handlers[:]
    yield
    for handler in {*logging.root.handlers} - {*before}:
        logging.root.removeHandler(handler)


@pytest.fixture(autouse=True)
def _no_release_is_kept_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Have an hsup that a test starts keep what it runs in a directory of the tests."""
    monkeypatch.setenv("HSUP_PROCFILE_DIR", str(tmp_path_factory.getbasetemp() / "kept"))


@pytest.fixture
def turn_until() -> TurnUntil:
    """Return what lets the loop turn until something holds that nobody tells of."""

    async def turn(is_so: Callable[[], object]) -> None:
        while not is_so():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)

    return turn


@pytest.fixture
def driver() -> MemoryDriver:
    return MemoryDriver()


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def router(sink: MemorySink) -> LogRouter:
    return LogRouter([sink])


@pytest.fixture
def told() -> EventRecorder:
    return EventRecorder()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def guarded_driver(calls: Calls, driver: MemoryDriver) -> Callable[..., GuardedDriver]:
    """Return the driver as hsup calls it; made when it is asked for, with its abilities then."""
    part = PluginPart("driver", "fake", "hsup-driver-fake", "1.2.3")
    return lambda other=None: GuardedDriver(calls, part, other or driver)


@pytest.fixture
def guarded_source(calls: Calls, source: MemorySource) -> Callable[[], GuardedSource]:
    """Return the source as hsup calls it, likewise."""
    part = PluginPart("source", "memory", "hsup-source-memory", "1.2.3")
    return lambda: GuardedSource(calls, part, source)


@pytest.fixture
def surround(
    guarded_driver: Callable[..., GuardedDriver], router: LogRouter, told: EventRecorder
) -> Callable[..., ExecutorContext]:
    """Return a maker of surroundings: restarts are immediate unless the test has a policy."""

    def make(
        policy: CrashPolicy | None = None,
        grace_seconds: float = 30.0,
        tell: Callable[[Event], None] = told,
    ) -> ExecutorContext:
        return ExecutorContext(
            driver=guarded_driver(),
            router=router,
            policy=policy or CrashPolicy(base_seconds=0),
            grace_seconds=grace_seconds,
            tell=tell,
        )

    return make


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(directory=str(tmp_path), environ={})


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give the reading and the writing end of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:  # the test was about that
            pass


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    """Return an installer of plugins: a module and its `.dist-info`, on `sys.path`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return Installer(site)


class Installer:
    """Makes distributions as pip leaves them in a directory."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self._numbers = itertools.count(1)

    def __call__(
        self,
        distribution: str,
        code: str,
        *,
        version: str = "1.2.3",
        entry_point: str = "broken",
        module: str | None = None,
    ) -> str:
        """Install a distribution whose plugin is a module of that code."""
        # A module of the same name that another test imported is still known to Python.
        unique = f"{self.site.parent.name}_{next(self._numbers)}".replace("-", "_")
        module = module or f"plugin_{unique}"
        (self.site / f"{module}.py").write_text(code)
        points = f"[console_scripts]\nother = other:main\n\n[hsup]\n{entry_point} = {module}\n"
        self.metadata(distribution, points, version=version)
        return module

    def metadata(self, distribution: str, entry_points: str, *, version: str = "1.2.3") -> Path:
        directory = self.site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        directory.mkdir()
        fields = f"Metadata-Version: 2.4\nName: {distribution}\nVersion: {version}\n"
        (directory / "METADATA").write_text(f"{fields}\nName: not-this\n")
        (directory / "entry_points.txt").write_text(entry_points)
        return directory
