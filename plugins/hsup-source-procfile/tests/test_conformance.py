"""The Procfile source passes the checks for all sources."""

from hsup.testing import SourceSuite
from hsup_source_procfile.hooks import ProcfileSourceFactory


class TestProcfileSource(SourceSuite):
    def make_source(self, settings):
        return ProcfileSourceFactory().create(settings)

    def give_release(self, folder, config):
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in config.items()))
        (folder / "Procfile").write_text("web: true\n")

    def give_fault(self, folder):
        (folder / "Procfile").write_text("web:\n")
