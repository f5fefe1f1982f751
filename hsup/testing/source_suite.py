"""Tests of the contract of sources."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

from hsup.api import Settings, Source

_TIMEOUT_SECONDS = 60.0


class SourceSuite:
    """Subclass this, and implement how to make your source and give it releases.

    `directory` is an empty directory for each test. Override a check that cannot hold for
    your source with a method whose docstring says why.
    """

    def make_source(self, settings: Settings) -> Source:
        """Return a new source that reads from `settings.directory`."""
        raise NotImplementedError

    def give_release(self, directory: Path, config: Mapping[str, str]) -> None:
        """Give the source a valid release with these config vars."""
        raise NotImplementedError

    def give_fault(self, directory: Path) -> None:
        """Give the source an invalid release."""
        raise NotImplementedError

    def environ(self, directory: Path) -> Mapping[str, str]:
        """Return the environment variables that the source needs."""
        del directory
        return {}

    def test_every_overridden_check_says_why(self) -> None:
        """The contract is not weakened without a reason."""
        for name, method in vars(type(self)).items():
            if name.startswith("test_") and hasattr(SourceSuite, name):
                assert method.__doc__, f"{name} is overridden: say why in its docstring"

    def test_the_same_release_is_equal_when_fetched_again(self, tmp_path: Path) -> None:
        """No dyno is restarted because a source was asked twice."""
        source = self._source(tmp_path)
        self.give_release(tmp_path, {"A": "1"})
        assert source.fetch().release == source.fetch().release

    def test_a_later_release_is_another_one(self, tmp_path: Path) -> None:
        """A release with other config vars is not equal."""
        source = self._source(tmp_path)
        self.give_release(tmp_path, {"A": "1"})
        first = source.fetch().release
        self.give_release(tmp_path, {"A": "2"})
        second = source.fetch().release
        assert first is not None
        assert second is not None
        assert (first.config["A"], second.config["A"]) == ("1", "2")
        assert first != second

    def test_a_fault_leaves_the_good_release(self, tmp_path: Path) -> None:
        """The last valid release stays, and the faults are reported."""
        source = self._source(tmp_path)
        self.give_release(tmp_path, {"A": "1"})
        good = source.fetch().release
        self.give_fault(tmp_path)
        fetched = source.fetch()
        assert fetched.release == good
        assert fetched.rejected is not None
        assert fetched.rejected.faults

    def test_changes_come_at_once_and_then_when_there_is_one(self, tmp_path: Path) -> None:
        """The first value starts the first fetch; later ones report changes of the input."""

        async def check() -> None:
            source = self._source(tmp_path)
            self.give_release(tmp_path, {"A": "1"})
            async with asyncio.timeout(_TIMEOUT_SECONDS), aclosing(source.changes()) as changes:
                await anext(changes)
                source.fetch()
                self.give_release(tmp_path, {"A": "2"})
                async for _ in changes:
                    release = source.fetch().release
                    if release is not None and release.config["A"] == "2":
                        break

        asyncio.run(check())

    def _source(self, directory: Path) -> Source:
        return self.make_source(Settings(directory=str(directory), environ=self.environ(directory)))
