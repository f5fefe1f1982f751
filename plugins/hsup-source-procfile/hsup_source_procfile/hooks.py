"""Register the Procfile source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hsup import hookimpl
from hsup.api import Claim
from hsup.directories import is_trusted

if TYPE_CHECKING:
    from pathlib import Path

    from hsup.api import Checked, Settings, Source, SourceFactory


#: What an application is read from.
_FILES = ("Procfile", ".env", "app.json")


class ProcfileSourceFactory:
    """Makes the source for a Procfile."""

    remedy = 'write a Procfile here, with a line like "web: command"'

    def applies(self, settings: Settings) -> Claim:
        """Return `ASKED` if the user named a Procfile, `FOUND` if one is here or above."""
        if settings.procfile is not None:
            return Claim.ASKED
        return Claim.FOUND if _found(settings) else Claim.NONE

    def create(self, settings: Settings) -> Source:
        """Make the source, whose `fetch` raises SourceError if there is no Procfile."""
        from hsup_source_procfile.source import ProcfileSource

        return ProcfileSource(_at_procfile(settings))

    def check(self, path: Path | None, settings: Settings) -> Checked | None:
        """Validate a Procfile, or a directory with one; see `checking.check`."""
        from hsup_source_procfile.checking import check

        return check(path, _at_procfile(settings) if path is None else settings)


def _at_procfile(settings: Settings) -> Settings:
    """Return the settings with the directory of the nearest Procfile."""
    path = None if settings.procfile else _found(settings)
    return settings._replace(directory=os.path.dirname(path)) if path else settings


def _found(settings: Settings) -> str | None:
    """Return the path of the Procfile here, or of the nearest one above; None without one.

    Above, those of other users do not count: their commands would be run as this user.
    """
    directory = settings.directory
    while True:
        path = os.path.join(directory, "Procfile")
        if os.path.isfile(path) and (
            directory == settings.directory or is_trusted(directory, *_FILES)
        ):
            return path
        if settings.has_root or (above := os.path.dirname(directory)) == directory:
            return None
        directory = above


@hookimpl
def hsup_register_sources() -> Mapping[str, SourceFactory]:
    """Register the source `procfile`."""
    return {"procfile": ProcfileSourceFactory()}
