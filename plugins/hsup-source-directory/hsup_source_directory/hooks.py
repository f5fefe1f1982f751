"""Register the control directory as a source of releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hsup import hookimpl
from hsup.api import Claim
from hsup_source_directory import CONTROL_DIR

if TYPE_CHECKING:
    from pathlib import Path

    from hsup.api import Checked, Settings, Source, SourceFactory


class DirectorySourceFactory:
    """Makes the source for the control directory in HSUP_CONTROL_DIR."""

    remedy = f"set {CONTROL_DIR} to a control directory"

    def applies(self, settings: Settings) -> Claim:
        """Return `Claim.NAMED` if HSUP_CONTROL_DIR is set, and not empty."""
        return Claim.NAMED if settings.environ.get(CONTROL_DIR) else Claim.NONE

    def create(self, settings: Settings) -> Source:
        """Make the source. Raises UsageError without HSUP_CONTROL_DIR."""
        from hsup_source_directory.running import digests
        from hsup_source_directory.source import DirectorySource, control_directory

        directory = control_directory(settings)
        return DirectorySource(directory, app=settings.app, digest_of=digests(settings))

    def check(self, path: Path | None, settings: Settings) -> Checked | None:
        """Validate a control file; by default `new`, or `loaded` without one."""
        from hsup_source_directory.check import check

        return check(path, settings)


@hookimpl
def hsup_register_sources() -> Mapping[str, SourceFactory]:
    """Register the source `directory`."""
    return {"directory": DirectorySourceFactory()}
