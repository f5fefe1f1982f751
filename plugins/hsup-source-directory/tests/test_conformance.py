"""The control directory passes the checks for all sources."""

import json
from pathlib import Path

from hsup.testing import SourceSuite
from hsup_source_directory.source import DirectorySource


class TestDirectorySource(SourceSuite):
    def make_source(self, settings):
        return DirectorySource(Path(settings.folder))

    def give_release(self, folder, config):
        (folder / "new").write_text(json.dumps({"Env": config}))

    def give_fault(self, folder):
        (folder / "new").write_text("{")
