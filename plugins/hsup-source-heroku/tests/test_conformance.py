from __future__ import annotations

import pytest

from hsup.testing.source_suite import SourceSuite
from hsup_source_heroku.hooks import HerokuSourceFactory


class TestHerokuSource(SourceSuite):
    @pytest.fixture(autouse=True)
    def app(self, api):
        self.api = api
        self.app = api.create_app("shop")

    def make_source(self, settings):
        return HerokuSourceFactory().create(settings._replace(app="shop"))

    def environ(self, folder):
        return {
            "HEROKU_API_URL": self.api.url,
            "HEROKU_ACCESS_TOKEN": self.api.token,
            "HSUP_HEROKU_CADENCE": "0.05",
            "HSUP_HEROKU_DIR": str(folder / "heroku"),
        }

    def give_release(self, folder, config):
        del folder
        self.app.release(config=config)

    def give_fault(self, folder):
        del folder
        self.app.release(archive=b"another").slug.checksum = "md5:0"
