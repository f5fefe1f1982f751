"""The Procfile source passes the checks for all sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hsup.api import Settings, Source
from hsup.testing import SourceSuite
from hsup_source_procfile.hooks import ProcfileSourceFactory


class TestProcfileSource(SourceSuite):
    def make_source(self, settings: Settings) -> Source:
        return ProcfileSourceFactory().create(settings)

    def give_release(self, directory: Path, config: Mapping[str, str]) -> None:
        (directory / ".env").write_text(
            "".join(f"{name}={value}\n" for name, value in config.items())
        )
        (directory / "Procfile").write_text("web: true\n")

    def give_fault(self, directory: Path) -> None:
        (directory / "Procfile").write_text("web:\n")
