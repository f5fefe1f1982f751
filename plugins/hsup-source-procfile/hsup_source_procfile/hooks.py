"""Register the Procfile source."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hsup import hookimpl
from hsup.api import Claim

if TYPE_CHECKING:
    from pathlib import Path

    from hsup.api import Checked, Settings, Source, SourceFactory


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
        if os.path.isfile(path) and (directory == settings.directory or _is_trusted(directory)):
            return path
        if settings.has_root or (above := os.path.dirname(directory)) == directory:
            return None
        directory = above


def _is_trusted(directory: str) -> bool:
    """Tell whether nobody but root and this user may write what an application is read from."""
    for name in (".", "Procfile", ".env", "app.json"):
        try:
            status = os.stat(os.path.join(directory, name))
        except FileNotFoundError:
            continue
        if status.st_uid not in {0, os.geteuid()} or _is_shared(status):
            return False
    return True


def _is_shared(status: os.stat_result) -> bool:
    """Tell whether others than its owner may write to a file.

    A group with the number of the owner has no other members, except root's (man 8 pam_umask).
    """
    has_own_group = status.st_uid == status.st_gid != 0
    others = stat.S_IWOTH if has_own_group else stat.S_IWOTH | stat.S_IWGRP
    return bool(status.st_mode & others)


@hookimpl
def hsup_register_sources() -> Mapping[str, SourceFactory]:
    """Register the source `procfile`."""
    return {"procfile": ProcfileSourceFactory()}
