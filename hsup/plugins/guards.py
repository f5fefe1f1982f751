"""Wrap the objects of plugins, so that each call goes through `hsup.plugins.calls`.

A guard has the methods of its contract in `hsup.api`, and the abilities that the plugin's
object has. An ability that is None or False counts as missing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from typing import Any

from hsup.api import (
    Driver,
    DriverFactory,
    Execution,
    Fetched,
    Finding,
    LogBatch,
    LogSink,
    LogSinkFactory,
    Measurement,
    OutputPipes,
    RunningDyno,
    Service,
    ServiceFactory,
    Settings,
    Source,
    SourceFactory,
    SupervisorView,
)
from hsup.errors import DriverError, DynoStartError, HsupError, PluginError, SourceError
from hsup.model import (
    Address,
    Command,
    DynoSpec,
    ExitStatus,
    Release,
)
from hsup.plugins.calls import NOTICE_SECONDS, Blocking, Call, Calls, PluginPart
from hsup.plugins.contracts import (
    Check,
    are_findings,
    are_texts,
    has,
    is_address,
    is_checked,
    is_claim,
    is_driver,
    is_dyno,
    is_fetched,
    is_measurement,
    is_release,
    is_source,
    is_status,
    method,
    unless_none,
)


class PluginFailed(PluginError):
    """A plugin raised an exception other than HsupError, or returned the wrong thing."""


class GuardedDriver:
    """A driver of a plugin."""

    #: The abilities (see `hsup.api`); only those that the driver has are set.
    run: Callable[[DynoSpec, float], ExitStatus]
    sweep: Callable[[], Sequence[str]]
    keep_only: Callable[[Collection[DynoSpec]], Sequence[str]]
    adopt: Callable[[DynoSpec, OutputPipes], Any]
    check_size: Callable[[str], None]
    close: Callable[[], None]
    examine: Callable[[], Sequence[Finding]]
    explain: Callable[[DynoSpec], Sequence[str]]
    binds_paths: bool
    ignores_slugs: bool
    shares_ports: bool
    shares_streams: bool

    def __init__(self, calls: Calls, part: PluginPart, driver: Driver) -> None:
        self._calls = calls
        self._part = part
        self._driver: Any = driver

        def blocking(
            name: str,
            what: Callable[..., str],
            check: Check | None = None,
            *,
            is_told: bool = True,
        ) -> None:
            if ability := method(driver, name):
                guarded = Blocking(
                    calls, part, what, ability, failure=DriverError, check=check, is_told=is_told
                )
                setattr(self, name, guarded)

        blocking("run", lambda spec, _: f"run {spec.name}", is_status, is_told=False)
        blocking("sweep", lambda: "remove leftovers of a previous hsup", are_texts)
        blocking("check_size", lambda name: f'check the size "{name}"')
        blocking("close", lambda: "close")
        blocking("examine", lambda: "examine this machine", are_findings)
        blocking("explain", lambda spec: f"explain how {spec.name} is started", are_texts)
        if method(driver, "keep_only") and method(driver, "adopt"):
            blocking("keep_only", lambda _: "keep the dynos of a previous hsup", are_texts)
            self.adopt = self._adopt
        for flag in ("binds_paths", "ignores_slugs", "shares_ports", "shares_streams"):
            if getattr(driver, flag, False):
                setattr(self, flag, True)
        self._build = Blocking(
            calls, part, lambda release: f"build {release}", driver.build, failure=DriverError
        )

    @property
    def build(self) -> Callable[[Release], None]:
        """Return the method that prepares a release."""
        return self._build

    async def start(self, spec: DynoSpec, output: OutputPipes) -> RunningDyno:
        """Start a dyno. Raises DynoStartError."""
        dyno = await self._calls.await_(
            self._part,
            f"start {spec.name}",
            lambda: self._driver.start(spec, output),
            failure=DynoStartError,
            check=is_dyno,
        )
        return GuardedDyno(self._calls, self._part, dyno, str(spec.name))

    async def _adopt(self, spec: DynoSpec, output: OutputPipes) -> RunningDyno | None:
        dyno = await self._calls.await_(
            self._part,
            f"adopt {spec.name}",
            lambda: self._driver.adopt(spec, output),
            failure=DriverError,
            check=unless_none(is_dyno),
        )
        return dyno and GuardedDyno(self._calls, self._part, dyno, str(spec.name))


class GuardedDyno:
    """A running dyno of a plugin; `name` is its name."""

    #: Only set if the dyno can do this, or has it.
    execute: Callable[[Command, Sequence[int]], Any]
    measure: Callable[[], Any]
    pid: int

    def __init__(self, calls: Calls, part: PluginPart, dyno: RunningDyno, name: str) -> None:
        self._calls = calls
        self._part = part
        self._dyno: Any = dyno
        self._name = name
        if method(dyno, "execute"):
            self.execute = self._execute
        if method(dyno, "measure"):
            self.measure = self._measure
        pid = getattr(dyno, "pid", None)
        if isinstance(pid, int):
            self.pid = pid

    @property
    def address(self) -> Address | None:
        """Return where the dyno's PORT can be reached, None if its address is not valid."""
        try:
            address: Address = self._dyno.address
            return None if is_address(address) else address
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return None

    async def wait(self) -> ExitStatus:
        """Return how the dyno's main process ended."""
        status: ExitStatus = await self._calls.await_(
            self._part,
            f"wait for {self._name}",
            self._dyno.wait,
            failure=DriverError,
            check=is_status,
            notice_seconds=None,
            is_last=True,
        )
        return status

    async def signal(self, number: int) -> None:
        """Send a signal to every process of the dyno."""
        await self._calls.await_(
            self._part,
            f"signal {self._name}",
            lambda: self._dyno.signal(number),
            failure=DriverError,
        )

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Return when nothing of the dyno is left; tell whether anything was killed."""
        killed: object = await self._calls.await_(
            self._part,
            f"destroy {self._name}",
            lambda: self._dyno.destroy(grace_seconds),
            failure=DriverError,
            notice_seconds=grace_seconds + NOTICE_SECONDS,
            is_last=True,
        )
        return bool(killed)

    async def _execute(self, command: Command, streams: Sequence[int]) -> Execution:
        execution: Execution = await self._calls.await_(
            self._part,
            f"execute a command in {self._name}",
            lambda: self._dyno.execute(command, streams),
            failure=DynoStartError,
            check=has("wait", "signal", what="an execution"),
        )
        return execution

    async def _measure(self) -> Measurement | None:
        measured: Measurement | None = await self._calls.await_(
            self._part,
            f"measure {self._name}",
            self._dyno.measure,
            failure=DriverError,
            check=unless_none(is_measurement),
            notice_seconds=None,
            is_noted=False,
        )
        return measured


class GuardedSource:
    """A source of a plugin."""

    #: Only set if the source keeps releases.
    keep: Callable[[Release], None]
    kept: Callable[[], Release | None]
    #: Only set if the source fetches slugs.
    fetch_slug: Callable[[Release], None]

    def __init__(self, calls: Calls, part: PluginPart, source: Source) -> None:
        self._calls = calls
        self._part = part
        self._source: Any = source
        self._fetch = Blocking(
            calls,
            part,
            lambda: "fetch the release",
            source.fetch,
            failure=SourceError,
            check=is_fetched,
        )
        keep, kept = method(source, "keep"), method(source, "kept")
        if keep and kept:
            self.keep = Blocking(
                calls,
                part,
                lambda release: f"save {release} for the next start",
                keep,
                failure=SourceError,
            )
            self.kept = Blocking(
                calls,
                part,
                lambda: "return the release that it saved",
                kept,
                failure=SourceError,
                check=unless_none(is_release),
            )
        if fetch_slug := method(source, "fetch_slug"):
            self.fetch_slug = Blocking(
                calls,
                part,
                lambda release: f"fetch the slug of {release}",
                fetch_slug,
                failure=DriverError,
            )

    @property
    def fetch(self) -> Callable[[], Fetched]:
        """Return the method that reads the newest release."""
        return self._fetch

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield whenever `fetch` may have a new answer. Raises SourceError."""
        return self._calls.iterate(
            self._part, "watch for changes", self._source.changes, failure=SourceError
        )


class GuardedSourceFactory:
    """A source factory of a plugin; its abilities are `follows_formation` and `follows_drains`."""

    def __init__(self, calls: Calls, part: PluginPart, factory: SourceFactory) -> None:
        self._calls = calls
        self._part = part
        self.remedy = factory.remedy
        self.follows_formation = bool(getattr(factory, "follows_formation", False))
        self.follows_drains = bool(getattr(factory, "follows_drains", False))

        def create(settings: Settings) -> Source:
            return factory.create(settings)

        self._make = Blocking(calls, part, _create, create, failure=SourceError, check=is_source)
        self.applies = Blocking(
            calls,
            part,
            lambda _: "say whether it applies",
            factory.applies,
            failure=SourceError,
            check=is_claim,
        )
        self.check = Blocking(
            calls,
            part,
            lambda path, _: f"check {path or 'the release'}",
            factory.check,
            failure=PluginFailed,
            check=is_checked,
        )

    def create(self, settings: Settings) -> Source:
        """Make the source. Raises HsupError."""
        return GuardedSource(self._calls, self._part, self._make(settings))


#: How long a sink of a plugin may keep hsup from reading what dynos write.
_FULL_SECONDS = 30.0


class GuardedSink:
    """A log sink of a plugin; its first failure is reported, and it gets no more lines."""

    def __init__(self, calls: Calls, part: PluginPart, sink: LogSink) -> None:
        self._calls = calls
        self._part = part
        self._sink: Any = sink
        self._is_broken = False

    def write(self, batch: LogBatch) -> None:
        """Take a batch."""
        if self._is_broken:
            return
        call = Call(self._part, "write")
        try:
            with self._calls.on_main_thread(call):
                result = self._sink.write(batch)
            if result is not None and hasattr(result, "close"):
                result.close()
                self._give_up(
                    PluginError(f"{self._part} failed to write: it is async, but must not be")
                )
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._give_up(self._calls.failed(call, PluginError, error))

    @property
    def is_full(self) -> bool:
        """Tell whether the sink has no room for more."""
        if self._is_broken:
            return False
        call = Call(self._part, "write")
        try:
            with self._calls.on_main_thread(call):
                return bool(self._sink.is_full)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._give_up(self._calls.failed(call, PluginError, error))
            return False

    async def drained(self) -> None:
        """Return when the sink has room for more; give it up if it has none for half a minute.

        No output is read while it is full. hsup's own sinks may be full for longer: their
        readers are the user's.
        """
        import asyncio  # `hsup run` has no sinks

        if self._is_broken:
            return
        draining = asyncio.ensure_future(self._await("take more", self._sink.drained))
        try:
            await asyncio.wait({draining}, timeout=_FULL_SECONDS)
        finally:
            draining.cancel()
        if draining.done():
            draining.result()
        else:
            self._give_up(PluginError(f"{self._part} was full for {_FULL_SECONDS:g} s"))

    async def close(self) -> None:
        """Deliver what is left; also called after a failure, to release resources."""
        await self._await("close", self._sink.close)

    async def _await(self, what: str, begin: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._calls.await_(self._part, what, begin, failure=PluginError)
        except HsupError as error:
            self._give_up(error)

    def _give_up(self, error: HsupError) -> None:
        if not self._is_broken:
            self._is_broken = True
            self._calls.warn(f"{error}; it gets no more lines")


class GuardedService:
    """A service of a plugin."""

    def __init__(self, calls: Calls, part: PluginPart, service: Service) -> None:
        self._calls = calls
        self._part = part
        self._service: Any = service

    async def run(self, supervisor: SupervisorView) -> None:
        """Serve until cancelled. Raises PluginError."""
        await self._calls.await_(
            self._part,
            "serve",
            lambda: self._service.run(supervisor),
            failure=PluginError,
            notice_seconds=None,
        )


def create_driver(
    calls: Calls, part: PluginPart, factory: DriverFactory, settings: Settings
) -> GuardedDriver:
    """Create a driver. Raises HsupError."""
    make = Blocking(calls, part, _create, factory, failure=DriverError, check=is_driver)
    return GuardedDriver(calls, part, make(settings))


def create_sink(
    calls: Calls, part: PluginPart, factory: LogSinkFactory, settings: Settings
) -> LogSink | None:
    """Create a log sink; return None if the settings ask for none. Raises HsupError."""
    is_sink = unless_none(has("write", "drained", "close", what="a log sink"))
    make = Blocking(calls, part, _create, factory, failure=PluginFailed, check=is_sink)
    sink = make(settings)
    return None if sink is None else GuardedSink(calls, part, sink)


def create_service(
    calls: Calls, part: PluginPart, factory: ServiceFactory, settings: Settings
) -> Service | None:
    """Create a service; return None if the settings ask for none. Raises HsupError."""
    is_service = unless_none(has("run", what="a service"))
    make = Blocking(calls, part, _create, factory, failure=PluginFailed, check=is_service)
    service = make(settings)
    return None if service is None else GuardedService(calls, part, service)


def _create(settings: Settings) -> str:
    del settings
    return "be created"
