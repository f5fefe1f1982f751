"""The control directory passes the checks for all sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hsup.api import Settings
from hsup.testing import SourceSuite
from hsup_source_directory.source import DirectorySource


class TestDirectorySource(SourceSuite):
    def make_source(self, settings: Settings) -> DirectorySource:
        return DirectorySource(Path(settings.directory))

    def give_release(self, directory: Path, config: Mapping[str, str]) -> None:
        (directory / "new").write_text(json.dumps({"Env": config}))

    def give_fault(self, directory: Path) -> None:
        (directory / "new").write_text("{")
