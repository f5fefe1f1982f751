"""A source, called as hsup calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hsup.api import Fetched, Settings
from hsup.model import Release
from hsup_source_heroku.source import create

PROCESSES = {"web": "serve $PORT", "worker": "work"}


class Followed:
    """A source, called as hsup calls it; `waits` are the delays before each call, in seconds."""

    def __init__(self, settings: Settings) -> None:
        self.waits: list[float] = []
        self.now = 0.0
        self.source = create(settings, sleep=self._sleep, clock=lambda: self.now)
        self._loop = asyncio.new_event_loop()
        self._changes = self.source.changes()
        self._await_change()
        self.keep, self.kept = self.source.keep, self.source.kept

    def close(self) -> None:
        self._loop.run_until_complete(self._changes.aclose())
        self._loop.close()
        self.source.close()

    def fetch(self) -> Fetched:
        """Fetch the release, and its slug if the release is new."""
        fetched = self.source.fetch()
        if fetched.release is not None:
            self.source.fetch_slug(fetched.release)
        return fetched

    def released(self) -> Release:
        """Fetch the release, of which there is one, and its slug; return it."""
        release = self.fetch().release
        assert release is not None
        return release

    def tick(self) -> Fetched:
        """Wait, and ask for what is due, releases or formation."""
        self._await_change()
        return self.fetch()

    def settled(self) -> Release:
        """Ask for releases and formation; return the release."""
        self.tick()
        self._await_change()
        return self.released()

    def _await_change(self) -> None:
        self._loop.run_until_complete(asyncio.wait_for(anext(self._changes), 60))

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


#: Makes sources; what it is given by name is added to their environment.
MakeSource = Callable[..., Followed]


def quantities(release: Release) -> dict[str, int]:
    """Return the quantity of each process type."""
    return {one.name: one.quantity for one in release.processes}
