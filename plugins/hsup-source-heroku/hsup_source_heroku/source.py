"""The source for an application on Heroku."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import msgspec

from hsup.api import Fetched, Settings
from hsup.archives.digest import expected_digest
from hsup.errors import DriverError, InvalidRelease, SourceError, UsageError
from hsup.model import Fault, Release
from hsup.slugs import ChecksumError, HostileSlug, SlugError
from hsup.validation import release_faults
from hsup_source_heroku import CADENCE, cadence, convert
from hsup_source_heroku.client import Client
from hsup_source_heroku.connect import connect
from hsup_source_heroku.drains import AppDrains
from hsup_source_heroku.errors import ApiError, Unauthorized
from hsup_source_heroku.poll_schedule import DRAINS, FORMATION, RELEASES, PollSchedule
from hsup_source_heroku.release_cache import ReleaseCache
from hsup_source_heroku.snapshot import Reader, Snapshot

logger = logging.getLogger(__name__)

_NO_RELEASE = "run git push heroku main, or release a slug; hsup asks every {seconds:g} s"


def create(
    settings: Settings,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> HerokuSource:
    """Make the source. Raises UsageError if the application or the key is missing."""
    app, client = connect(settings, clock)
    reader = Reader(client, app)
    kept = ReleaseCache(settings.environ, client.url, app, reader.archive_url)
    drains = AppDrains(client, app, kept) if settings.follows_drains else None
    seconds = _read_cadence(settings.environ)
    return HerokuSource(
        reader, client, kept, drains=drains, seconds=seconds, sleep=sleep, clock=clock
    )


class HerokuSource:
    """The source for the releases of one application, its formation, and `drains` if asked for.

    Each of the first two is asked for once in `seconds`, in turns. If it has not changed, the
    answer is an empty one with status 304.
    """

    def __init__(
        self,
        reader: Reader,
        client: Client,
        kept: ReleaseCache,
        *,
        drains: AppDrains | None = None,
        seconds: float,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._client = client
        self._kept = kept
        self._drains = drains
        self._seconds = seconds
        self._sleep = sleep
        self._clock = clock
        self._schedule = PollSchedule(seconds, clock(), follows_drains=drains is not None)
        self._snapshot: Snapshot | None = None
        self._adopted: tuple[Snapshot, ...] = ()  # whose slugs may be fetched, newest last
        self._faulty: str | None = None  # the id of a release that cannot be run
        self._is_due = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_answered = asyncio.Event()

    def fetch(self) -> Fetched:
        """Ask for what is due; if the API cannot be reached, return the last known release.

        Raises SourceError if no release is known, and Unauthorized at the start if the key is
        invalid, as access to the application may have been revoked.
        """
        is_due, self._is_due = self._is_due, False
        try:
            return self._ask_for_one() if is_due else self._ask_for_all()
        finally:
            if is_due and self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._has_answered.set)

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield at the start, and whenever a request is due, which depends on the last result."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._is_due = True
            self._has_answered.clear()
            yield None
            await self._has_answered.wait()
            await self._sleep(self._schedule.wait_seconds(self._clock()))

    def fetch_slug(self, release: Release) -> None:
        """Download the archive of a release, and keep the release. Raises HsupError."""
        matching = (one for one in self._adopted if self._is_of(one, release))
        snapshot = next(matching, None)
        if snapshot is None:  # it was kept with its archive
            return
        try:
            self._kept.take(snapshot)
        except (ChecksumError, HostileSlug) as error:
            raise _rejected(snapshot, error) from error
        except SourceError as error:
            raise DriverError(error.args[0], hint=error.hint) from error
        latest = self._snapshot
        if latest and latest.release_id == snapshot.release_id and latest != snapshot:
            self._kept.rescale(latest)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def keep(self, release: Release) -> None:
        """Keep the release that runs for the next start, even if a newer one is known.

        Raises SourceError.
        """
        known = (self._snapshot, *reversed(self._adopted), self._kept.accepted)
        for snapshot in filter(None, known):
            if self._is_of(snapshot, release):
                self._kept.accept(convert.scaled_like(snapshot, release))
                return

    def kept(self) -> Release | None:
        """Return the release that was kept last."""
        return self._release(self._kept.running())

    def _ask_for_one(self) -> Fetched:
        """Ask for what is due first, and for a release if none is known."""
        if self._snapshot is not None and (thing := self._schedule.next()) != RELEASES:
            return self._ask(FORMATION, self._scaled) if thing == FORMATION else self._drained()
        try:
            return self._ask(RELEASES, self._newest)
        finally:
            if self._snapshot is None:
                self._schedule.skip_others()

    def _ask_for_all(self) -> Fetched:
        """Ask for everything, whatever is due; try a faulty release again."""
        self._faulty, known = None, self._snapshot
        fetched = self._ask(RELEASES, self._newest)
        if self._schedule.has_trouble or known is None or self._snapshot is not known:
            return fetched
        scaled = self._ask(FORMATION, self._scaled)
        drained = self._drained() if scaled.failure is None else scaled
        warnings = (*fetched.warnings, *drained.warnings)
        return fetched._replace(release=drained.release, failure=scaled.failure, warnings=warnings)

    def _ask(self, thing: str, ask: Callable[[], Fetched]) -> Fetched:
        """Return an answer, or the last known release after a failure."""
        asked_at, was_in_trouble = self._clock(), self._schedule.has_trouble
        try:
            fetched = ask()
        except SourceError as error:
            if not isinstance(error, ApiError):
                error = ApiError(error.args[0], hint=error.hint)
            self._schedule.failed(thing, error, self._clock(), random.random())
            return self._go_on(error, is_first=not was_in_trouble)
        self._schedule.answered(thing, asked_at, self._client.remaining)
        if was_in_trouble and not self._schedule.has_trouble:
            logger.info("%s answers again", self._client.url)
        return fetched

    def _newest(self) -> Fetched:
        """Return the newest release, but none that is older than the known one."""
        newest = self._reader.newest()
        known = self._snapshot
        if newest is None:
            remedy = _NO_RELEASE.format(seconds=self._seconds)
            return self._same()._replace(remedy=remedy)
        if newest.id == self._faulty or (known and known.has_seen(newest)):
            return self._same()
        snapshot = self._reader.take(newest)
        warnings = self._drained().warnings
        return self._adopt(snapshot)._replace(warnings=warnings)

    def _same(self) -> Fetched:
        return Fetched(self._release(self._snapshot))

    def _scaled(self) -> Fetched:
        """Return the known release with the current formation."""
        snapshot = self._snapshot
        assert snapshot is not None
        formation = dict(self._reader.quantities())
        if formation == snapshot.formation:
            return self._same()
        self._snapshot = scaled = msgspec.structs.replace(snapshot, formation=formation)
        try:
            self._kept.rescale(scaled)
        except SourceError as error:  # the dynos are scaled nevertheless
            return self._same()._replace(warnings=(str(error),))
        return self._same()

    def _drained(self) -> Fetched:
        """Return the known release with the current drains; of failures, warn of the first."""
        if self._drains is None:
            return self._same()
        asked_at, had_failed = self._clock(), self._schedule.has_failed(DRAINS)
        try:
            warnings = tuple(self._drains.ask())
        except ApiError as error:
            self._schedule.failed(DRAINS, error, self._clock(), random.random())
            text = f"cannot read the application's log drains, keeping the known ones: {error}"
            return self._same()._replace(warnings=() if had_failed else (text,))
        self._schedule.answered(DRAINS, asked_at, self._client.remaining)
        return self._same()._replace(warnings=warnings)

    def _adopt(self, snapshot: Snapshot) -> Fetched:
        """Make a snapshot the known release, or reject it if it is faulty."""
        faults = [*release_faults(convert.release(snapshot, ""))]
        try:
            if archived := snapshot.archived:
                expected_digest(archived.checksum)
        except SlugError as error:
            faults.append(Fault("the slug", str(error)))
        if faults:
            self._faulty = snapshot.release_id
            self._snapshot = self._snapshot or self._kept.running()
            rejected = InvalidRelease(f"cannot run v{snapshot.version}", faults)
            return self._same()._replace(rejected=rejected)
        self._snapshot = snapshot
        self._adopted = (*self._adopted[-1:], snapshot)
        return self._same()

    def _go_on(self, error: ApiError, *, is_first: bool) -> Fetched:
        """Return the last known release; report a failure once, but a refused access every time."""
        if self._snapshot is not None:
            is_told = is_first or isinstance(error, Unauthorized)
            return self._same()._replace(failure=error if is_told else None)
        if isinstance(error, Unauthorized):
            raise error
        self._snapshot = self._kept.running() or self._kept.newest()
        if self._snapshot is None:
            raise error
        text = f"running {self._release(self._snapshot)}, the last known release"
        return self._same()._replace(failure=error, warnings=(text,))

    def _is_of(self, snapshot: Snapshot, release: Release) -> bool:
        ours = self._kept.release(snapshot)
        if ours.slug and not ours.slug.checksum and release.slug:  # hsup has added one
            release = release._replace(slug=release.slug._replace(checksum=None))
        return release.differs_in_scale_only(ours)

    def _release(self, snapshot: Snapshot | None) -> Release | None:
        if snapshot is None:
            return None
        release = self._kept.release(snapshot)
        return release if self._drains is None else release._replace(drains=self._drains.known)


def _rejected(snapshot: Snapshot, error: SlugError) -> InvalidRelease:
    faults = [Fault("the slug", str(error))]
    rejected = InvalidRelease(f"cannot run v{snapshot.version}", faults)
    rejected.code, rejected.platform_line = error.code, error.platform_line
    return rejected


def _read_cadence(environ: Mapping[str, str]) -> float:
    text = environ.get(CADENCE) or str(cadence.DEFAULT_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(
            f'{CADENCE}: "{text}" is not a number of seconds', hint="write a number above 0"
        )
    return seconds
