"""Register the Procfile source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hsup import hookimpl
from hsup.api import Claim

if TYPE_CHECKING:
    from pathlib import Path

    from hsup.api import Checked, Settings, Source, SourceFactory


class ProcfileSourceFactory:
    """Makes the source for the Procfile in the current directory."""

    remedy = 'write a Procfile here, with a line like "web: command"'

    def applies(self, settings: Settings) -> Claim:
        """Return `Claim.FOUND` if there is a Procfile in the current directory."""
        is_here = os.path.isfile(os.path.join(settings.directory, "Procfile"))
        return Claim.FOUND if is_here else Claim.NONE

    def create(self, settings: Settings) -> Source:
        """Make the source, whose `fetch` raises SourceError if there is no Procfile."""
        from hsup_source_procfile.source import ProcfileSource

        return ProcfileSource(settings)

    def check(self, path: Path | None, settings: Settings) -> Checked | None:
        """Validate a Procfile, or a directory with one; see `checking.check`."""
        from hsup_source_procfile.checking import check

        return check(path, settings)


@hookimpl
def hsup_register_sources() -> Mapping[str, SourceFactory]:
    """Register the source `procfile`."""
    return {"procfile": ProcfileSourceFactory()}
