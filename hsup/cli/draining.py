"""Deliver log lines to drains, if there are any; nothing is imported for them before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hsup.api import SUPERVISOR, LogBatch, LogEvent
from hsup.cli.components import Components
from hsup.model import Release
from hsup.output.lines import LOGPLEX, PLATFORM
from hsup.output.logs import LogRouter

if TYPE_CHECKING:
    from hsup.drains.destinations import Destinations, Undelivered

_WARNING = "Warning: "


class Draining:
    """The drains of a run: those that the user named, and those of its releases.

    Raises UsageError for one that the user named and that makes no sense, and PluginError if its
    plugin is not installed.
    """

    def __init__(self, parts: Components, router: LogRouter, *, grace_seconds: float) -> None:
        self._parts = parts
        self._router = router
        self._grace_seconds = grace_seconds
        self._destinations: Destinations | None = None
        if parts.options.drains or parts.settings.logplex_url:
            self._destinations = self._begun()

    def follow(self, release: Release) -> None:
        """Deliver to the drains of a release from now on."""
        if self._destinations is None and (release.drains or release.logplex_url):
            self._destinations = self._begun()
        if self._destinations is not None:
            self._destinations.follow(release, grace_seconds=self._grace_seconds)

    async def finish(self, hurried: asyncio.Event) -> Sequence[Undelivered]:
        """Deliver what is left, within the grace period; return what could not be delivered.

        Once `hurried` is set, nothing more is delivered. What is said of drains from now on is
        printed, and not delivered.
        """
        if self._destinations is None:
            return ()
        self._router.backlog = None
        finishing = asyncio.ensure_future(self._destinations.finish(self._grace_seconds))
        hurrying = asyncio.ensure_future(hurried.wait())
        await asyncio.wait([finishing, hurrying], return_when="FIRST_COMPLETED")
        hurrying.cancel()
        if finishing.done():
            return finishing.result()
        finishing.cancel()
        await asyncio.wait([finishing])
        return await self._destinations.finish(0.0)

    def undelivered(self) -> Sequence[Undelivered]:
        """Return what is not delivered now; for a signal handler."""
        return () if self._destinations is None else self._destinations.undelivered()

    def _begun(self) -> Destinations:
        from hsup.drains.destinations import Destinations  # only where there are drains
        from hsup.output.backlog import Backlog

        parts = self._parts
        self._router.backlog = self._router.backlog or Backlog()
        return Destinations(
            parts.own_drains(),
            backlog=self._router.backlog,
            settings=parts.settings,
            create=parts.drain,
            say=self._say,
        )

    def _say(self, text: str, event: LogEvent) -> None:
        if event.code is None:
            self._router.say(SUPERVISOR, text, event)
        else:
            self._router.say(LOGPLEX, text, event, PLATFORM)


def left_over(one: Undelivered) -> Iterator[str]:
    """Yield what to say at the end of lines that a drain has not got."""
    if one.line_count:
        lines = "1 line was" if one.line_count == 1 else f"{one.line_count} lines were"
        yield f"warning: {one.name}: {lines} not delivered"
    if one.kept.line_count:
        from hsup.drains.destinations import kept_text  # only where there are drains

        yield f"{one.name}: {kept_text(one.kept)}"


class Warnings:
    """A log sink that keeps what hsup warns of, each text once."""

    is_full = False

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def write(self, batch: LogBatch) -> None:
        """Keep a warning."""
        if batch.event is not None and batch.event.name in ("warning", "error"):
            text = batch.lines.decode(errors="replace").rstrip("\n")
            self._texts[text.removeprefix(_WARNING)] = None

    def taken(self) -> Sequence[str]:
        """Return the warnings since the last call."""
        texts, self._texts = self._texts, {}
        return tuple(texts)

    async def drained(self) -> None:
        """Return at once: this is never full."""

    async def close(self) -> None:
        """Do nothing."""
