"""A source of the releases that a test gives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping

from hsup.api import Fetched
from hsup.model import Release
from hsup.testing.making import make_release


class MemorySource:
    """Returns the answer that a test gave last, or raises it if it is an error.

    `fetches` counts the calls of `fetch`, which calls `before_fetch` first, in the same thread.
    The source does not keep releases unless `keep_releases` was called.
    """

    keep: Callable[[Release], object] | None = None
    kept: Callable[[], Release | None] | None = None

    def __init__(self) -> None:
        self.fetches = 0
        self.before_fetch: Callable[[], object] = lambda: None
        self._answer: Fetched | Exception = Fetched(release=None)
        self._changes: asyncio.Queue[None] = asyncio.Queue()
        self._changes.put_nowait(None)

    def release(
        self,
        *,
        silently: bool = False,
        version: int = 1,
        command: str = "serve",
        config: Mapping[str, str] | None = None,
        logplex_url: str | None = None,
        **quantities: int,
    ) -> Release:
        """Make a release with `make_release`, give it, and return it."""
        made = make_release(
            version=version, command=command, config=config, logplex_url=logplex_url, **quantities
        )
        self.give(Fetched(release=made), silently=silently)
        return made

    def give(self, answer: Fetched | Exception, *, silently: bool = False) -> None:
        """Give the next answer, and report a change unless `silently` is set."""
        self._answer = answer
        if not silently:
            self._changes.put_nowait(None)

    def keep_releases(self, *kept: Release) -> list[Release]:
        """Keep releases from now on; return the list of kept ones, the current one last."""
        releases = [*kept]
        self.keep = releases.append
        self.kept = lambda: releases[-1] if releases else None
        return releases

    def fetch(self) -> Fetched:
        """Return the answer, or raise it if it is an error."""
        self.before_fetch()
        self.fetches += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield at the start, and after every reported change."""
        while True:
            await self._changes.get()
            yield
