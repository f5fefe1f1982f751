"""The checks for sources accept a source that works, and find every fault of one that does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Fetched, Settings, Source
from hsup.errors import InvalidRelease
from hsup.model import Fault, Release
from hsup.testing import SourceSuite


class FileSource:
    """Reads the config vars of a release from a file, which it polls."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "config"
        self.good: Release | None = None

    def fetch(self) -> Fetched:
        try:
            config = json.loads(self.path.read_bytes())
        except ValueError:
            return Fetched(self.good, rejected=InvalidRelease("cannot read it", [Fault("", "x")]))
        self.good = Release(app="shop", version=1, config=config)
        return Fetched(self.good)

    async def changes(self) -> AsyncGenerator[None, None]:
        while True:
            yield
            await asyncio.sleep(0.001)


class Restless(FileSource):
    """Counts its fetches in the version of the release."""

    asked = 0

    def fetch(self) -> Fetched:
        self.asked += 1
        release = super().fetch().release
        assert release
        return Fetched(release._replace(version=self.asked))


class Stale(FileSource):
    def fetch(self) -> Fetched:
        return Fetched(self.good) if self.good else super().fetch()


class Forgetful(FileSource):
    def fetch(self) -> Fetched:
        fetched = super().fetch()
        return fetched._replace(release=None) if fetched.rejected else fetched


class Silent(FileSource):
    def fetch(self) -> Fetched:
        return super().fetch()._replace(rejected=None)


class Blind(FileSource):
    async def changes(self) -> AsyncGenerator[None, None]:
        yield
        await asyncio.Event().wait()


class Suite(SourceSuite):
    kind = FileSource

    def make_source(self, settings: Settings) -> Source:
        return self.kind(Path(settings.directory))

    def give_release(self, directory: Path, config: Mapping[str, str]) -> None:
        (directory / "config").write_text(json.dumps(config))

    def give_fault(self, directory: Path) -> None:
        (directory / "config").write_text("{")


def suite_of(kind: type[FileSource]) -> Suite:
    return type("SuiteOf", (Suite,), {"kind": kind})()


CHECKS = {name for name in vars(SourceSuite) if name.startswith("test_")}
OVERRIDDEN = "test_every_overridden_check_says_why"


@pytest.mark.parametrize("check", sorted(CHECKS - {OVERRIDDEN}))
def test_a_source_that_works_passes(check: str, tmp_path: Path) -> None:
    getattr(Suite(), check)(tmp_path)


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Restless, "test_the_same_release_is_equal_when_fetched_again"),
        (Stale, "test_a_later_release_is_another_one"),
        (Forgetful, "test_a_fault_leaves_the_good_release"),
        (Silent, "test_a_fault_leaves_the_good_release"),
    ],
)
def test_a_source_that_does_not_fails(kind: Any, check: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        getattr(suite_of(kind), check)(tmp_path)


def test_a_source_that_sees_no_change_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.testing.source_suite._TIMEOUT_SECONDS", 0.1)
    with pytest.raises(TimeoutError):
        suite_of(Blind).test_changes_come_at_once_and_then_when_there_is_one(tmp_path)


def test_who_overrides_a_check_says_why() -> None:
    class Excused(Suite):
        def test_a_fault_leaves_the_good_release(self, tmp_path: Path) -> None:
            """No content of the file is invalid."""

    class Silenced(Suite):
        def test_a_fault_leaves_the_good_release(self, tmp_path: Path) -> None:
            pass

    Excused().test_every_overridden_check_says_why()
    with pytest.raises(AssertionError, match="say why in its docstring"):
        Silenced().test_every_overridden_check_says_why()
