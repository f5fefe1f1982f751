"""Roll a release out, or keep the current one running.

    offered ──▶ is it passed over? ──yes──▶ the current release is scaled like it
                  │ no
                  ▼
                build, release phase ──▶ its dynos run, and it is kept
                  │ failed                 for the next start
                  ▼
                the current release keeps running; at a start, the one that a previous hsup kept
                  │ there is neither
                  ▼
                hsup waits for another release, or ends with the error

A release that is like one that failed is passed over: for a while (RetryPolicy) after a
failure of the driver, until a user asks for it after any other failure. If the source itself
fails, the release to run is chosen in the same way.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from hsup.api import API, SUPERVISOR, Adopts, LogEvent, Source
from hsup.errors import HsupError, ReleaseFailed, UsageError
from hsup.events import Event, ReleaseReceived, ReleaseRejected
from hsup.model import DynoName, DynoSpec, Release, Slug
from hsup.output import causes, messages
from hsup.output.lines import Line
from hsup.plugins import catalogue
from hsup.plugins.calls import call_plugin
from hsup.supervision.build import Builder, Superseded
from hsup.supervision.exec_limits import require_passable
from hsup.supervision.executor import ExecutorContext
from hsup.supervision.failure import LastFailure
from hsup.supervision.fleet import Fleet
from hsup.supervision.keeping import Keeper
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.ports import Ports
from hsup.supervision.specs import SpecMaker
from hsup.threads import in_thread, in_thread_or_here

logger = logging.getLogger(__name__)

#: The platform's limit for a release phase.
RELEASE_PHASE_SECONDS = 3600.0


class Outcome(NamedTuple):
    """The result of an answer of the source.

    `running` is the release that runs now, None if none does; `retry_seconds` says when to
    offer the source's release again, None if that would change nothing.
    """

    running: Release | None = None
    retry_seconds: float | None = None


class _Prepared(NamedTuple):
    """A release that is ready to run, its slug with a checksum, and the specs of its dynos."""

    release: Release
    slug: Slug | None
    specs: Mapping[DynoName, DynoSpec]


#: Makes an event from the version that keeps running and the one that is started instead, None
#: where there is none.
Telling = Callable[[int | None, int | None], Event]


class Rollout:
    """Builds, tries and runs one release after another."""

    def __init__(
        self,
        options: SupervisorOptions,
        *,
        source: Source,
        around: ExecutorContext,
        fleet: Fleet,
        ports: Ports,
    ) -> None:
        self._options = options
        self._around = around
        self._fleet = fleet
        self._ports = ports
        self._specs = SpecMaker(options, ports, self._say)
        self._running_slug: Slug | None = None  # with its checksum
        self._failure = LastFailure(options.retry, asyncio.get_running_loop().time)
        self._keeper = Keeper(source, self._say)
        self._running: Release | None = None
        self._received: ReleaseReceived | None = None
        self._passed: Release | None = None  # its release phase
        self._has_told_of_slug = False
        self._has_announced = False
        self.builder = Builder(source, around.driver, self._say)

    async def take(self, release: Release) -> Outcome:
        """Run a release if it is a new one, or keep the current one running.

        Raises HsupError if there is no release that could run instead.
        """
        await self._keeper.try_again()
        if wait := self._failure.wait_seconds(release):
            await self._pass_over(release)
        elif release != self._running:
            wait = await self._adopt(release)
        return self._outcome(wait)

    async def do_without(
        self, error: HsupError, telling: Telling, *, may_wait: bool = False
    ) -> Outcome:
        """Run without an answer of the source; `error` says why there is none.

        Raises `error` if no release runs or was kept, unless hsup may wait for another release.
        """
        await self._keeper.try_again()
        kept = await self._keeper.kept() if self._running is None else None
        other = await self._fallback(kept, error, may_wait=may_wait)
        await self._go_on(other, telling)
        return self._outcome()

    def passes_over(self, release: Release) -> bool:
        """Tell whether a release would not be tried now, as it has failed."""
        return self._failure.lasts(release)

    def forget_failure(self) -> None:
        """Allow a release that has failed to be retried."""
        self._failure.forget()

    def _outcome(self, wait: float = 0.0) -> Outcome:
        waits = [wait] if 0 < wait < math.inf else []
        if self._keeper.has_unkept:
            waits.append(self._options.retry.wait_seconds())
        return Outcome(running=self._running, retry_seconds=min(waits, default=None))

    async def _pass_over(self, release: Release) -> None:
        """Scale the current release like one that is passed over."""
        if self._failure.is_to_be_told():
            self._say(f"{release} failed before; send SIGHUP to retry it")
        running = self._running
        if running is None or (scaled := running.scaled_like(release)) == running:
            return
        try:
            with _as_hsup_error(scaled):
                specs = self._specs.specs(scaled._replace(slug=self._running_slug))
        except HsupError as error:
            self._around.tell(ReleaseRejected(error=error, running=running.version))
        else:
            await self._run(_Prepared(release=scaled, slug=self._running_slug, specs=specs))

    async def _adopt(self, release: Release) -> float:
        """Run a release, or continue without it; return for how long it is passed over."""
        kept = await self._keeper.kept() if self._running is None else None
        try:
            before = self._running or await _unless_changing(kept)
            try:
                with _as_hsup_error(release):
                    prepared = await self._prepare(release, before)
            except HsupError as error:
                return await self._fail(release, error, kept)
        except Superseded as error:
            self._say(f"Gave up on {release}: {error.newer} has arrived")
            return 0.0
        self._failure.forget()
        self._passed = None
        await self._run(prepared)
        return 0.0

    async def _fail(self, release: Release, error: HsupError, kept: Release | None) -> float:
        """Continue without a release; return for how long it is passed over."""
        if kept == release and not isinstance(error, ReleaseFailed):
            kept = None  # it would fail again
        other = await self._fallback(kept and kept.scaled_like(release), error)
        self._failure.note(release, error)
        await self._go_on(other, partial(rejection, error))
        return self._failure.wait_seconds(release)

    async def _fallback(
        self, kept: Release | None, error: HsupError, *, may_wait: bool = False
    ) -> _Prepared | None:
        """Return the kept release, ready to run instead of what failed.

        Raises `error` if it cannot run, and none runs, unless hsup may wait for another one.
        """
        other = None if kept is None else await self._prepared(kept, error)
        if self._running is None and other is None and not (may_wait or self._options.stays):
            for line in messages.platform_error(error):
                self._say_line(line)
            raise error
        return other

    async def _go_on(self, other: _Prepared | None, telling: Telling) -> None:
        """Report what failed, and run the other release instead, if there is one."""
        if other is None:
            running = self._running
            self._around.tell(telling(None if running is None else running.version, None))
        else:
            self._around.tell(telling(None, other.release.version))
            await self._run(other)

    async def _prepared(self, kept: Release, error: HsupError) -> _Prepared | None:
        """Prepare a kept release to run instead of what failed; return None if it fails, too.

        With `one_shot`, the user wants the exit status of the newest release's dynos, no other.
        """
        if self._options.one_shot:
            return None
        try:
            with _as_hsup_error(kept):
                return await self._prepare(kept, kept)
        except HsupError as second:
            if not isinstance(error, UsageError):  # else both lack the type that the user typed
                self._say(f"Warning: {kept} cannot be run either: {second}")
            return None

    async def _prepare(self, release: Release, before: Release | None) -> _Prepared:
        """Build a release and run its release phase. Raises HsupError and Superseded.

        The release phase is skipped if the release ran `before`, or has passed it already.
        """
        is_first = self._running is None
        self._specs.check(release, is_first=is_first)
        if is_first:
            self._announce(release)
            self._options.follow_drains(release)
        self._tell_ignored_slug(release)
        commands = (one.command for one in release.processes)
        require_passable(release, commands, has_metadata=self._options.has_metadata)
        slug = await self.builder.build(release)
        built = release._replace(slug=slug)
        known = (one for one in (before, self._passed) if one is not None)
        if not any(map(release.differs_in_scale_only, known)):
            await self._release_phase(built)
            self._passed = release
        with self._ports.all_or_none():
            specs = self._specs.specs(built)
            if is_first:
                await self._keep_only(specs.values())
        await self._warn_of_ports(specs)
        return _Prepared(release=release, slug=slug, specs=specs)

    def _announce(self, release: Release) -> None:
        """Say once what is going to run."""
        if self._has_announced:
            return
        self._has_announced = True
        if self._options.announce is not None:
            ports = self._specs.ports(release)
            try:
                self._options.announce(release, ports, self._specs.may_listen)
            except Exception as error:  # what cannot be said keeps no dyno from running
                logger.warning("cannot say what is going to run: %s", error, exc_info=error)
        self._specs.tell_of_quantities(release)

    async def _warn_of_ports(self, specs: Mapping[DynoName, DynoSpec]) -> None:
        held = self._fleet.ports()
        if text := await in_thread_or_here(partial(self._specs.port_warning, specs, held)):
            self._say(f"Warning: {text}")

    async def _run(self, prepared: _Prepared) -> None:
        """Run the dynos of a release, and have it kept for the next start."""
        self._running = release = prepared.release
        self._running_slug = prepared.slug
        for about in (SUPERVISOR, API):
            self._around.router.runs(about, release.app, release.version)
        ports = {str(name): spec.port for name, spec in prepared.specs.items()}
        self._options.follow_drains(release)
        received = ReleaseReceived(
            release=release,
            ports=ports,
            formation=self._options.asked.scales(release),
            previous=self._received,
        )
        self._received = received._replace(previous=None)
        self._around.tell(received)
        self._fleet.want(prepared.specs)
        await self._keeper.keep(release._replace(slug=prepared.slug))

    async def _release_phase(self, release: Release) -> None:
        if (spec := self._specs.release_phase(release, self._fleet.names())) is None:
            return
        self._around.router.runs(API, release.app, release.version)
        self._say_line(causes.release_phase_started(release), about=API)
        try:
            await self._run_release_phase(release, spec)
        except ReleaseFailed:
            self._say_line(causes.release_phase_failed(release), about=API)
            raise

    async def _run_release_phase(self, release: Release, spec: DynoSpec) -> None:
        """Run the dyno of a release phase to its end. Raises ReleaseFailed."""
        try:
            async with asyncio.timeout(RELEASE_PHASE_SECONDS):
                status = await self._fleet.run_one(spec)
        except TimeoutError:
            raise ReleaseFailed(
                release, f"did not end within {RELEASE_PHASE_SECONDS:g} s"
            ) from None
        finally:
            self._ports.release(spec.name)
        if status is None or status.status:
            code = 1 if status is None else status.status
            raise ReleaseFailed(release, f"exited with status {code}", exit_code=code)

    async def _keep_only(self, specs: Collection[DynoSpec]) -> None:
        """Remove what a previous hsup left running, except dynos to be adopted."""
        driver = self._around.driver
        if isinstance(driver, Adopts):
            for leftover in await call_plugin(driver.keep_only, specs):
                self._say(f"Removed a leftover of a previous hsup: {leftover}")

    def _tell_ignored_slug(self, release: Release) -> None:
        driver = self._around.driver
        warning = catalogue.ignored_slug(self._options.driver_name, driver, release)
        if warning and not self._has_told_of_slug:
            self._has_told_of_slug = True
            logger.warning(warning)

    def _say(self, text: str, event: LogEvent | None = None) -> None:
        self._around.router.say(SUPERVISOR, text, event)

    def _say_line(self, line: Line, *, about: str = SUPERVISOR) -> None:
        self._around.router.say(about, line.text, line.event, line.source)


def rejection(error: HsupError, running: int | None, starting: int | None) -> Event:
    """Return the event of a release that will not run."""
    return ReleaseRejected(error=error, running=running, starting=starting)


@contextmanager
def _as_hsup_error(release: Release) -> Iterator[None]:
    """Turn any exception into the reason why a release cannot run: its values are untrusted."""
    try:
        yield
    except (HsupError, Superseded):
        raise
    except Exception as error:
        logger.debug("%s cannot be run", release, exc_info=error)
        text = f"cannot run {release}: {type(error).__name__}: {error}"
        raise HsupError(text) from error


async def _unless_changing(kept: Release | None) -> Release | None:
    """Return a kept release, None if its code is a directory, which may have changed.

    Its release phase has to run again then, as it does whenever such code is deployed.
    """
    if kept is None or kept.slug is None:
        return kept
    if kept.slug.inode is not None:
        return None
    # In a thread, as its file system may hang.
    is_directory = await in_thread(partial(_is_directory, kept.slug.location))
    return None if is_directory else kept


def _is_directory(location: str) -> bool:
    from hsup.archives.location import Directory, find  # slow to import, rarely needed

    try:
        return isinstance(find(location, os.getcwd()), Directory)
    except HsupError:
        return False  # the build reports the error
