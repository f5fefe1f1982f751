"""Deliver what a one-off dyno writes to log drains, if there are any."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hsup.api import LogBatch
from hsup.cli.components import Components
from hsup.cli.draining import Draining, Warnings, left_over
from hsup.copying.beginning import begin
from hsup.copying.runner import Runner
from hsup.model import DynoName, Release
from hsup.output.logs import LogRouter
from hsup.visible import warn


@contextmanager
def copied(parts: Components, release: Release, name: DynoName) -> Iterator[Runner]:
    """Copy to the drains, in a process beside, what a dyno is to write; wait for it at the end.

    Raises UsageError for a drain that the user named and that makes no sense.
    """
    parts.own_drains()
    runner = begin(_Delivered(parts, release, str(name)))
    try:
        yield runner
    finally:
        runner.leave()


class _Delivered:
    """Delivers lines of one dyno.

    What is said of drains meanwhile is no part of what the caller's streams get, unless it is of
    use at the end.
    """

    def __init__(self, parts: Components, release: Release, name: str) -> None:
        self._parts = parts
        self._release = release
        self._name = name
        self._warnings = Warnings()
        self._router = LogRouter([self._warnings])

    def begin(self) -> None:
        """Begin to deliver, and print which drains of the release are not used."""
        release = self._release
        self._router.runs(self._name, release.app, release.version)
        grace_seconds = self._parts.options.grace_seconds
        self._draining = Draining(self._parts, self._router, grace_seconds=grace_seconds)
        self._draining.follow(release)
        for text in self._warnings.taken():
            warn(f"warning: {text}")

    def write(self, stream: str, lines: bytes, *, is_partial: bool) -> None:
        """Take lines of the dyno."""
        app, version = self._router.release_of(self._name)
        now = time.time_ns()
        self._router.publish(
            LogBatch(now, "app", self._name, stream, lines, is_partial, app, version)
        )

    @property
    def is_full(self) -> bool:
        """Tell whether a destination is about to catch up."""
        return self._router.is_full

    async def room(self) -> None:
        """Return when none does."""
        await self._router.room()

    def say(self, text: str) -> None:
        """Take a line of hsup's own."""
        self._router.say(self._name, text)
        self._warnings.taken()

    async def finish(self, hurried: asyncio.Event) -> Sequence[str]:
        """Deliver what is left; return what to say if that is not everything."""
        left = await self._draining.finish(hurried)
        told = [text for one in left for text in left_over(one)]
        return [*(f"warning: {text}" for text in self._warnings.taken()), *told] if told else ()
