"""Bring a release to run, or leave what runs."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from hsup.api import SUPERVISOR, Adopts, FetchesSlugs, KeepsReleases, LogEvent, Source
from hsup.cancellation import GivenUp, until
from hsup.errors import DriverError, HsupError, ReleaseFailed, UsageError
from hsup.events import ReleaseReceived, ReleaseRejected
from hsup.launch import Ports, dyno_spec, one_off_name
from hsup.long_work import EVERY_SECONDS, FIRST_SECONDS, LongWork, waited_for
from hsup.model import RELEASE_TYPE, DynoName, DynoSpec, Release
from hsup.plugins import catalogue
from hsup.plugins.calls import call_plugin
from hsup.supervision.exec_limits import require_passable
from hsup.supervision.executor import Surroundings
from hsup.supervision.fleet import Fleet
from hsup.supervision.plan import Plan
from hsup.threads import in_thread

logger = logging.getLogger(__name__)

#: How long after a driver has failed a release is tried again; twice as long each time.
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 10.0, 300.0
#: How long a build that is given up at a stop may take to end in order.
GIVE_UP_SECONDS = 1.0
#: The platform's limit for a release phase.
RELEASE_PHASE_SECONDS = 3600.0


class _Failed(NamedTuple):
    """A release that is passed over until a time of the event loop, or until it is asked for."""

    release: Release
    until: float
    times: int = 1
    is_told: bool = False


class Rollout:
    """Has one release after the other built, tried and run.

    `current` is the one that runs, None where none does yet; `building` is set while
    the driver prepares one, which `supersede` ends.
    """

    def __init__(
        self, plan: Plan, *, source: Source, around: Surroundings, fleet: Fleet, ports: Ports
    ) -> None:
        self.current: Release | None = None
        self._plan = plan
        self._source = source
        self._driver = around.driver
        self._around = around
        self._fleet = fleet
        self._ports = ports
        self._failed: _Failed | None = None
        self._passed: Release | None = None  # its release phase
        self._is_unkept = False  # what runs, as its source could not keep it
        self._has_told_of_slug = False
        self._given_up = threading.Event()
        self._superseded_by: Release | None = None
        self.building = asyncio.Event()

    async def take(self, release: Release) -> float | None:
        """Run a release, if it is another one; return in how many seconds to offer it again.

        Raises HsupError for one that cannot be run, where nothing else can be.
        """
        before = self.current
        try:
            seconds = await self._take(release)
        except GivenUp:
            self._say(f"Gave up {release}, as {self._superseded_by} has arrived")
            seconds = None
        if self.current is before:
            await self.keep_again()
        if self._is_unkept:
            return RETRY_SECONDS if seconds is None else min(seconds, RETRY_SECONDS)
        return seconds

    async def _take(self, release: Release) -> float | None:
        failed = self._failed
        if failed is None or not _fails_like(release, failed.release):
            self._failed = None
        elif (left := failed.until - _now()) > 0:
            await self._scale_like(release)
            if left < math.inf:
                return left
            if not failed.is_told:
                self._say(f"{release} failed before: SIGHUP has it tried again")
                self._failed = failed._replace(is_told=True)
            return None
        return None if release == self.current else await self._adopt(release)

    async def keep_again(self) -> None:
        """Have what runs kept, if it could not be before, as on a full disk."""
        if self._is_unkept and self.current is not None:
            await self._keep(self.current)

    def supersede(self, newer: Release) -> None:
        """Give up the build of the release that is being taken, for a newer one."""
        self._superseded_by = newer
        self._given_up.set()

    def forget_failure(self) -> None:
        """Let a release that has failed be tried again."""
        self._failed = None

    async def fall_back(self, error: HsupError) -> bool:
        """Run what an hsup before this one has run, where the source has nothing to run.

        `error` is why. Returns whether there was such a release.
        """
        kept = await self._kept() if self.current is None else None
        specs = None if kept is None else await self._prepare_kept(kept, error)
        if kept is None or specs is None:
            return False
        await self._run(kept, specs)
        return True

    def reject(self, error: HsupError) -> None:
        """Tell that something newer than what runs cannot be."""
        self._reject(error, self.current)

    async def _scale_like(self, release: Release) -> None:
        """Scale what runs as a release asks for that is passed over."""
        running = self.current
        if running is None or (scaled := running.scaled_like(release)) == running:
            return
        try:
            with _told(scaled):
                specs = self._specs(scaled)
        except HsupError as error:
            self._reject(error, running)
        else:
            await self._run(scaled, specs)

    async def _adopt(self, release: Release) -> float | None:
        """Run a release, or leave what runs where it cannot be run."""
        kept = await self._kept() if self.current is None else None
        try:
            with _told(release):
                specs = await self._prepare(release, self.current or await _unless_changing(kept))
        except GivenUp:
            raise
        except HsupError as error:
            return await self._fail(release, error, kept)
        self._failed = self._passed = None
        await self._run(release, specs)
        return None

    async def _fail(self, release: Release, error: HsupError, kept: Release | None) -> float | None:
        """Go on with what runs, or with what an hsup before this one has run."""
        other, specs = None, None
        if kept is not None and (kept != release or isinstance(error, ReleaseFailed)):
            other = kept.scaled_like(release)
            specs = await self._prepare_kept(other, error)
        running = self.current or (other if specs is not None else None)
        if running is None and not self._plan.stays:
            raise error
        seconds = self._note_failure(release, error)
        self._reject(error, running)
        if other is not None and specs is not None:
            await self._run(other, specs)
        return seconds

    async def _prepare_kept(
        self, kept: Release, error: HsupError
    ) -> Mapping[DynoName, DynoSpec] | None:
        """Prepare what is to run instead of what failed; return None where it fails too.

        Whoever runs dynos once wants to know how those of the newest release end.
        """
        if self._plan.one_shot:
            return None
        try:
            with _told(kept):
                return await self._prepare(kept, kept)
        except GivenUp:
            raise
        except HsupError as second:
            if not isinstance(error, UsageError):  # else both lack what the user has typed
                self._say(f"Warning: {kept} cannot be run either: {second}")
            return None

    def _note_failure(self, release: Release, error: HsupError) -> float | None:
        """Return when to try a release again: what drivers cannot do now, they may do later."""
        if not isinstance(error, DriverError):
            self._failed = _Failed(release, math.inf)
            return None
        times = self._failed.times + 1 if self._failed else 1
        seconds = min(RETRY_SECONDS * 2.0 ** (times - 1), LONGEST_RETRY_SECONDS)
        self._failed = _Failed(release, _now() + seconds, times)
        return seconds

    async def _prepare(
        self, release: Release, before: Release | None
    ) -> Mapping[DynoName, DynoSpec]:
        """Have all done that comes before a release runs; return its dynos.

        The release phase runs but for what ran before, or has passed it.
        """
        self._check_types(release)
        self._tell_ignored_slug(release)
        require_passable(release, (one.command for one in release.processes))
        await self._build(release)
        known = (one for one in (before, self._passed) if one is not None)
        if not any(map(release.differs_in_scale_only, known)):
            await self._release_phase(release)
            self._passed = release
        with self._ports.all_or_none():
            specs = self._specs(release)
            if self.current is None:
                await self._keep_only(specs.values())
        return specs

    async def _build(self, release: Release) -> None:
        """Have a release built. Raises GivenUp where it was superseded meanwhile.

        A driver may not heed it, and build to the end.
        """
        self._given_up = given_up = threading.Event()
        self._superseded_by = None
        work = LongWork(f"the slug of v{release.version}", is_drawn=False)
        notices = _Notices(work, release, self._say)
        self.building.set()
        with until(given_up), waited_for(work):
            building = asyncio.ensure_future(self._fetch_and_build(release))
        try:
            await asyncio.shield(building)
        except asyncio.CancelledError:
            given_up.set()
            await asyncio.wait({building}, timeout=GIVE_UP_SECONDS)
            if not building.cancel() and not building.cancelled():
                building.exception()  # nobody is interested any more
            raise
        except HsupError as error:
            if self._superseded_by is not None:
                raise GivenUp from error
            raise
        finally:
            notices.end()
            self.building.clear()

    async def _fetch_and_build(self, release: Release) -> None:
        if isinstance(self._source, FetchesSlugs):
            await call_plugin(self._source.fetch_slug, release)
        await call_plugin(self._driver.build, release)

    async def _run(self, release: Release, specs: Mapping[DynoName, DynoSpec]) -> None:
        """Have the dynos of a release, and have it kept for an hsup to come."""
        self.current = release
        self._around.router.runs(SUPERVISOR, release.app, release.version)
        self._around.tell(ReleaseReceived(release=release))
        if release.logplex_url and not self._plan.has_drain:
            advice = catalogue.missing("log sink", "logplex", ())
            self._say(f"Warning: no log line is sent to the release's LogplexURL: {advice}")
        self._fleet.want(specs)
        self._is_unkept = False
        await self._keep(release)

    async def _keep(self, release: Release) -> None:
        if not isinstance(self._source, KeepsReleases):
            return
        try:
            await call_plugin(self._source.keep, release)
        except HsupError as error:
            if not self._is_unkept:
                self._say(f"Warning: {error}")
            self._is_unkept = not error.is_mistake
            return
        if self._is_unkept:
            self._say(f"Kept {release} now, for the next start")
            self._is_unkept = False

    async def _kept(self) -> Release | None:
        """Return what an hsup before this one has run, where the source knows."""
        if not isinstance(self._source, KeepsReleases):
            return None
        try:
            return await call_plugin(self._source.kept)
        except HsupError as error:
            self._say(f"Warning: {error}")
            return None

    def _tell_ignored_slug(self, release: Release) -> None:
        told = catalogue.ignored_slug(self._plan.driver_name, self._driver, release)
        if told and not self._has_told_of_slug:
            self._has_told_of_slug = True
            logger.warning(told)

    def _check_types(self, release: Release) -> None:
        asked = self._plan.asked
        if self.current is None:
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
        with self._ports.all_or_none():
            return {name: self._spec(release, name, has_port=has_port) for name in names}

    def _spec(self, release: Release, name: DynoName, *, has_port: bool) -> DynoSpec:
        process = release.process(name.type)
        assert process is not None
        port = None if has_port else self._ports.lease(name)
        plan = self._plan
        size = plan.asked.size_of(process)
        return dyno_spec(
            release,
            name,
            process.command,
            port=port,
            size=size,
            binds=plan.binds,
            has_metadata=plan.has_metadata,
        )

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

    def _reject(self, error: HsupError, running: Release | None) -> None:
        version = None if running is None else running.version
        self._around.tell(ReleaseRejected(error=error, running=version))

    async def _keep_only(self, specs: Collection[DynoSpec]) -> None:
        """Have the first dynos taken over where a dead hsup has left some running."""
        if isinstance(self._driver, Adopts):
            for leftover in await call_plugin(self._driver.keep_only, specs):
                self._say(f"Removed what a dead hsup left: {leftover}")

    def _say(self, text: str, event: LogEvent | None = None) -> None:
        self._around.router.say(SUPERVISOR, text, event)


class _Notices:
    """Says from time to time how far the build of a release is."""

    def __init__(
        self, work: LongWork, release: Release, say: Callable[[str, LogEvent], None]
    ) -> None:
        self._work = work
        self._release = release
        self._say = say
        self._has_told = False
        self._wait(FIRST_SECONDS)

    def end(self) -> None:
        self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._tell)

    def _tell(self) -> None:
        text = self._work.text()
        if text:
            name = "fetching" if text.startswith("fetching ") else "preparing"
            self._say(text[0].upper() + text[1:], LogEvent(name))
        elif not self._has_told:
            text = f"Preparing {self._release} takes more than {FIRST_SECONDS:g} s"
            self._say(text, LogEvent("preparing"))
        self._has_told = True
        self._wait(EVERY_SECONDS)


def _fails_like(release: Release, failed: Release) -> bool:
    """Tell whether a release cannot be expected to do better than one that has failed.

    Another author may be allowed what it names.
    """
    return release.author == failed.author and release.differs_in_scale_only(failed)


@contextmanager
def _told(release: Release) -> Iterator[None]:
    """Have whatever is raised be why a release cannot be run: its values are a stranger's."""
    try:
        yield
    except HsupError:
        raise
    except Exception as error:
        logger.debug("%s cannot be run", release, exc_info=error)
        text = f"cannot run {release}: {type(error).__name__}: {error}"
        raise HsupError(text) from error


async def _unless_changing(kept: Release | None) -> Release | None:
    """Return a release that was kept, unless its code is a folder, which may be another by now.

    Its release phase has to run again then, as it does whenever such code is deployed.
    """
    if kept is None or kept.slug is None:
        return kept
    # In a thread, as its file system may hang.
    is_folder = await in_thread(partial(_is_folder, kept.slug.location))
    return None if is_folder else kept


def _is_folder(location: str) -> bool:
    from hsup.archives.location import Folder, find  # takes long, and is needed rarely

    try:
        return isinstance(find(location, os.getcwd()), Folder)
    except HsupError:
        return False  # who builds it says why


def _now() -> float:
    return asyncio.get_running_loop().time()
