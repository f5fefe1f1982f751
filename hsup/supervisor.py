"""Run the releases that a source gives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from signal import SIGTERM, Signals

from hsup import catalogue, messages
from hsup.api import Driver, Fetched, Service, Source, Sweeps
from hsup.errors import DriverError, HsupError, ReleaseFailed, SourceError
from hsup.events import (
    Event,
    ReleaseReceived,
    ReleaseRejected,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.executor import Surroundings
from hsup.fleet import Fleet
from hsup.formation import Asked
from hsup.launch import Ports, dyno_spec, one_off_name
from hsup.logs import LogRouter
from hsup.model import RELEASE_TYPE, Bind, DynoName, DynoSpec, Release
from hsup.policy import CrashPolicy
from hsup.threads import in_thread

logger = logging.getLogger(__name__)

#: How long after a source could not be read, or a release not built, it is tried again.
RETRY_SECONDS = 10.0
#: The platform's limit for a release phase.
RELEASE_PHASE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the user asked the supervisor for.

    `one_shot` ends it when every dyno has ended once; `stays` keeps it running
    when nothing is left to run; `has_drain` says that a plugin serves the
    release's `logplex_url`.
    """

    source_name: str
    driver_name: str
    asked: Asked
    binds: tuple[Bind, ...] = ()
    one_shot: bool = False
    stays: bool = False
    has_drain: bool = False
    grace_seconds: float = 30.0
    policy: CrashPolicy = field(default_factory=CrashPolicy)


class Supervisor:
    """Keeps the dynos of the newest good release running."""

    def __init__(
        self,
        plan: Plan,
        *,
        source: Source,
        driver: Driver,
        router: LogRouter,
        observe: Callable[[Event], None],
    ) -> None:
        self._plan = plan
        self._source = source
        self._driver = driver
        self._router = router
        self._observe = observe
        self._ports = Ports()
        around = Surroundings(
            driver=driver,
            router=router,
            policy=plan.policy,
            grace_seconds=plan.grace_seconds,
            tell=self._tell,
        )
        self._fleet = Fleet(around, one_shot=plan.one_shot, on_gone=self._ports.release)
        self._release: Release | None = None
        self._failed: Release | None = None
        self._is_waiting = False
        self._ask = asyncio.Event()
        self._retry: asyncio.TimerHandle | None = None
        self._stop_signals: list[Signals] = []
        self._stopping = asyncio.Event()

    def dynos(self) -> Mapping[str, str]:
        """Return the state of every dyno by its name."""
        return self._fleet.states()

    def reload(self) -> None:
        """Ask the source again; a release that failed is tried again."""
        self._failed = None
        self._ask.set()

    def stop(self, number: Signals) -> None:
        """Stop all dynos and end; when called again, without grace."""
        self._stop_signals.append(number)
        if self._stopping.is_set():
            self._fleet.kill()
        self._stopping.set()

    @property
    def is_hurried(self) -> bool:
        """Tell whether hsup was told to stop more than once."""
        return len(self._stop_signals) > 1

    async def run(self, services: Sequence[Service] = ()) -> int:
        """Run until stopped, or until nothing is left to run; return the exit status.

        Raises HsupError where not even a first release could be run.
        """
        plan = self._plan
        self._tell(SupervisorStarted(source=plan.source_name, driver=plan.driver_name))
        await self._sweep()
        following = asyncio.create_task(self._follow())
        beside = [asyncio.create_task(self._until_stopped())]
        beside += [asyncio.create_task(self._guard(one.run(self), one)) for one in services]
        beside.append(asyncio.create_task(self._guard(self._watch_source(), self._source)))
        try:
            await asyncio.wait([following, beside[0]], return_when="FIRST_COMPLETED")
        finally:
            for task in (following, *beside):
                task.cancel()
            await self._fleet.stop()
            await asyncio.wait([following, *beside])
        if not following.cancelled() and (error := following.exception()):
            raise error
        return self._exit_status()

    def _exit_status(self) -> int:
        signals = self._stop_signals
        if self.is_hurried:
            return 128 + signals[-1]
        if self._plan.one_shot:
            return self._fleet.highest_status
        if signals and signals[0] != SIGTERM:
            return 128 + signals[0]
        return int(self._fleet.was_killed or self._fleet.has_failed)

    async def _until_stopped(self) -> None:
        await self._stopping.wait()
        self._tell(SupervisorStopping(reason=f"{self._stop_signals[0].name} received"))

    async def _sweep(self) -> None:
        if isinstance(self._driver, Sweeps):
            for leftover in await in_thread(self._driver.sweep):
                self._say(f"Removed what a dead hsup left: {leftover}")

    async def _guard(self, work: Awaitable[None], whose: object) -> None:
        """Keep the dynos running whatever a stranger's service or source does."""
        try:
            await work
        except Exception:
            logger.exception("%r failed, the dynos run on", whose)

    async def _watch_source(self) -> None:
        try:
            async with aclosing(self._source.changes()) as changes:
                async for _ in changes:
                    self._ask.set()
        finally:
            self._ask.set()  # also of a source that cannot be watched something can be had

    async def _follow(self) -> None:
        """Ask the source whenever there is reason to, until nothing is left to run."""
        while self._release is None or not self._plan.one_shot:
            idle = asyncio.create_task(self._fleet.idle())
            asked = asyncio.create_task(self._ask.wait())
            may_end = self._release is not None and not self._plan.stays
            awaited = {asked, idle} if may_end else {asked}
            try:
                await asyncio.wait(awaited, return_when="FIRST_COMPLETED")
                if may_end and idle.done() and not asked.done():
                    break
            finally:
                idle.cancel()
                asked.cancel()
            self._ask.clear()
            await self._update()
        await self._fleet.idle()
        self._say("Nothing is left to run")

    async def _update(self) -> None:
        try:
            fetched = await self._fetch()
        except SourceError as error:
            if self._release is None and not self._plan.stays:
                raise
            self._say(f"Cannot ask for a release, what runs goes on: {error}")
            self._ask_later()
            return
        logger.info("the source answered %s", fetched.release or "no release")
        self._report(fetched)
        release = fetched.release
        if release is None:
            self._say_waiting(fetched)
        elif release == self._failed:
            self._say(f"{release} failed before: SIGHUP has it tried again")
        elif release != self._release:
            await self._adopt(release)

    async def _fetch(self) -> Fetched:
        try:
            return await in_thread(self._source.fetch)
        except HsupError:
            raise
        except Exception as error:
            # A stranger's source must not take the dynos down with it.
            logger.exception("the source failed")
            raise SourceError(f"the source failed: {error!r}") from error

    def _say_waiting(self, fetched: Fetched) -> None:
        if not self._is_waiting:
            remedy = f": {fetched.remedy}" if fetched.remedy else ""
            self._say(f"There is no release yet, waiting for one{remedy}")
        self._is_waiting = True

    def _report(self, fetched: Fetched) -> None:
        for warning in fetched.warnings:
            self._say(f"Warning: {warning}")
        if fetched.ask_again:
            self._ask_later()
        if fetched.rejected is None:
            return
        if fetched.release is None and self._release is None and not self._plan.stays:
            raise fetched.rejected
        self._reject(fetched.rejected)

    async def _adopt(self, release: Release) -> None:
        """Run a release, or keep what runs where it cannot be run."""
        try:
            self._check_types(release)
            await self._build(release)
            await self._release_phase(release)
            specs = self._specs(release)
        except HsupError as error:
            if self._release is None and not self._plan.stays:
                raise
            self._reject(error)
            if isinstance(error, DriverError):
                self._ask_later()
            else:
                self._failed = release
            return
        self._release = release
        self._tell(ReleaseReceived(release=release))
        if release.logplex_url and not self._plan.has_drain:
            advice = catalogue.missing("log sink", "logplex", ())
            self._say(f"Warning: no log line is sent to the release's LogplexURL: {advice}")
        self._fleet.want(specs)

    async def _build(self, release: Release) -> None:
        try:
            await in_thread(partial(self._driver.build, release))
        except HsupError:
            raise
        except Exception as error:
            # Nor must a stranger's driver: what runs can run on.
            logger.exception("the driver failed")
            raise DriverError(f"the driver failed: {error!r}") from error

    def _check_types(self, release: Release) -> None:
        asked = self._plan.asked
        if self._release is None:
            asked.require_known_types(release)
        for missing in asked.unknown_types(release):
            self._say(f'Warning: {release} has no process type "{missing}" any more')
        self._ports.know(one.name for one in release.processes if one.name != RELEASE_TYPE)

    def _specs(self, release: Release) -> dict[DynoName, DynoSpec]:
        names = self._plan.asked.names(release)
        has_port = "PORT" in release.config and len(names) == 1
        if "PORT" in release.config and len(names) > 1:
            self._say(
                f"Warning: PORT of the release is not used, {len(names)} dynos cannot share it"
            )
        return {name: self._spec(release, name, has_port=has_port) for name in names}

    def _spec(self, release: Release, name: DynoName, *, has_port: bool) -> DynoSpec:
        process = release.process(name.type)
        assert process is not None
        port = None if has_port else self._ports.lease(name)
        plan = self._plan
        size = plan.asked.size_of(process)
        return dyno_spec(release, name, process.command, port=port, size=size, binds=plan.binds)

    async def _release_phase(self, release: Release) -> None:
        if release.process(RELEASE_TYPE) is None:
            return
        name = one_off_name(RELEASE_TYPE)
        spec = self._spec(release, name, has_port="PORT" in release.config)
        try:
            async with asyncio.timeout(RELEASE_PHASE_SECONDS):
                status = await self._fleet.run_one(spec)
        except TimeoutError:
            raise ReleaseFailed(release, f"did not end in {RELEASE_PHASE_SECONDS:g} s") from None
        finally:
            self._ports.release(name)
        if status is None or status.status:
            code = 1 if status is None else status.status
            raise ReleaseFailed(release, f"exited with status {code}", exit_code=code)

    def _reject(self, error: HsupError) -> None:
        running = None if self._release is None else self._release.version
        self._tell(ReleaseRejected(error=error, running=running))

    def _ask_later(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._ask.set)

    def _say(self, text: str) -> None:
        self._router.say(messages.SUPERVISOR, text)

    def _tell(self, event: Event) -> None:
        about, lines = messages.narrate(event)
        for line in lines:
            self._router.say(about, line)
            logger.debug("%s: %s", about, line)
        self._observe(event)
