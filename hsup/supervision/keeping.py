"""Have the source keep the running release for the next start, if it can."""

from __future__ import annotations

from collections.abc import Callable

from hsup.api import KeepsReleases, Source
from hsup.errors import HsupError
from hsup.model import Release
from hsup.plugins.calls import call_plugin


class Keeper:
    """Has the running release kept, and retries what could not be kept."""

    def __init__(self, source: Source, say: Callable[[str], None]) -> None:
        self._source = source if isinstance(source, KeepsReleases) else None
        self._say = say
        self._unkept: Release | None = None

    @property
    def has_unkept(self) -> bool:
        """Tell whether `try_again` has something to do."""
        return self._unkept is not None

    async def keep(self, release: Release) -> None:
        """Keep the release that runs now, in place of an earlier one."""
        self._unkept = None
        await self._keep(release)

    async def try_again(self) -> None:
        """Keep the release that could not be kept, for example on a full disk."""
        if (release := self._unkept) is None:
            return
        await self._keep(release)
        if self._unkept is None:
            self._say(f"Saved {release} for the next start")

    async def kept(self) -> Release | None:
        """Return the release that a previous hsup ran, if the source has kept it."""
        if self._source is None:
            return None
        try:
            return await call_plugin(self._source.kept)
        except HsupError as error:
            self._say(f"Warning: {error}")
            return None

    async def _keep(self, release: Release) -> None:
        if self._source is None:
            return
        try:
            await call_plugin(self._source.keep, release)
        except HsupError as error:
            if self._unkept is None:
                self._say(f"Warning: {error}")
            self._unkept = None if error.is_mistake else release
        else:
            self._unkept = None
