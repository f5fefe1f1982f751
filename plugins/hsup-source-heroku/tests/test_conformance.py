from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hsup.api import Settings, Source
from hsup.testing.source_suite import SourceSuite
from hsup_source_heroku.hooks import HerokuSourceFactory
from hsup_source_heroku.testing import PlatformApi


class TestHerokuSource(SourceSuite):
    @pytest.fixture(autouse=True)
    def _app(self, api: PlatformApi) -> None:
        self.api = api
        self.app = api.create_app("shop")

    def make_source(self, settings: Settings) -> Source:
        return HerokuSourceFactory().create(settings._replace(app="shop"))

    def environ(self, directory: Path) -> Mapping[str, str]:
        return {
            "HEROKU_API_URL": self.api.url,
            "HEROKU_ACCESS_TOKEN": self.api.token,
            "HSUP_HEROKU_CADENCE": "0.05",
            "HSUP_HEROKU_DIR": str(directory / "heroku"),
        }

    def give_release(self, directory: Path, config: Mapping[str, str]) -> None:
        del directory
        self.app.release(config=config)

    def give_fault(self, directory: Path) -> None:
        del directory
        self.app.release(archive=b"another").slug.checksum = "md5:0"
