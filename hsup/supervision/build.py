"""Have the driver build a release, unless a newer one arrives meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from hsup.api import Driver, FetchesSlugs, LogEvent, Source
from hsup.cancellation import until
from hsup.errors import HsupError
from hsup.long_work import EVERY_SECONDS, FIRST_SECONDS, LongWork, waited_for
from hsup.model import Release, Slug
from hsup.plugins.calls import call_plugin
from hsup.supervision.pinning import pinned

#: How long a build that is cancelled at a stop may take to clean up.
GIVE_UP_SECONDS = 1.0

#: Adds a line of hsup's own to the log, with its event for programs.
Say = Callable[[str, LogEvent | None], None]


class Superseded(Exception):
    """A build was abandoned for a newer release."""

    def __init__(self, newer: Release) -> None:
        super().__init__(str(newer))
        self.newer = newer


class Builder:
    """Builds one release at a time; `under_way` is set during a build."""

    def __init__(self, source: Source, driver: Driver, say: Say) -> None:
        self.under_way = asyncio.Event()
        self._source = source
        self._driver = driver
        self._say = say
        self._given_up = threading.Event()
        self._newer: Release | None = None

    def supersede(self, newer: Release) -> None:
        """Abandon the current build for a newer release."""
        self._newer = newer
        self._given_up.set()

    async def build(self, release: Release) -> Slug | None:
        """Fetch the slug of a release and have the driver build it; report a long build.

        Returns the slug with the checksum of its archive. Raises HsupError, and Superseded if the
        driver stops for a newer release: some drivers finish their build.
        """
        self._given_up, self._newer = threading.Event(), None
        work = LongWork(f"the slug of v{release.version}", is_drawn=False)
        notices = _Notices(work, release, self._say)
        self.under_way.set()
        with until(self._given_up), waited_for(work):
            building = asyncio.ensure_future(self._fetch_and_build(release))
        try:
            await asyncio.shield(building)
        except asyncio.CancelledError:
            self._given_up.set()
            await _end(building)
            raise
        except HsupError as error:
            if self._newer is not None:
                raise Superseded(self._newer) from error
            raise
        finally:
            notices.end()
            self.under_way.clear()
        return pinned(release.slug, work.archive)

    async def _fetch_and_build(self, release: Release) -> None:
        if isinstance(self._source, FetchesSlugs):
            await call_plugin(self._source.fetch_slug, release)
        await call_plugin(self._driver.build, release)


async def _end(building: asyncio.Future[None]) -> None:
    """Give an abandoned build a short time to clean up."""
    await asyncio.wait({building}, timeout=GIVE_UP_SECONDS)
    if not building.cancel() and not building.cancelled():
        building.exception()  # retrieved, or asyncio would log it


class _Notices:
    """Reports the progress of a build from time to time."""

    def __init__(self, work: LongWork, release: Release, say: Say) -> None:
        self._work = work
        self._release = release
        self._say = say
        self._has_told = False
        self._loop = asyncio.get_running_loop()
        work.say_end = self._tell_step_soon
        self._wait(FIRST_SECONDS)

    def end(self) -> None:
        self._timer.cancel()

    def _tell_step(self, text: str) -> None:
        self._say(text[0].upper() + text[1:], LogEvent(_event(text)))

    def _tell_step_soon(self, text: str) -> None:
        """Report a step from the thread of the work."""
        self._loop.call_soon_threadsafe(self._tell_step, text)

    def _wait(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._tell)

    def _tell(self) -> None:
        text = self._work.text()
        if text:
            self._tell_step(text)
        elif not self._has_told:
            text = f"Still preparing {self._release} after {FIRST_SECONDS:g} s"
            self._say(text, LogEvent("preparing"))
        self._has_told = True
        self._wait(EVERY_SECONDS)


def _event(text: str) -> str:
    return "fetching" if text.startswith("fetching ") else "preparing"
