from __future__ import annotations

from collections.abc import Callable

import pytest

from hsup.errors import SourceError
from hsup.model import Release
from hsup.plugins.guards import GuardedSource
from hsup.supervision.keeping import Keeper
from hsup.testing import MemorySource, make_release

FIRST, SECOND = make_release(version=1, web=1), make_release(version=2, web=1)


class Disk:
    """Keeps the releases of a source, unless it is full."""

    def __init__(self, source: MemorySource) -> None:
        self.is_full = False
        self.attempts = 0
        self.releases = source.keep_releases()
        source.keep = self.keep

    def keep(self, release: Release) -> None:
        self.attempts += 1
        if self.is_full:
            raise SourceError("no space")
        self.releases.append(release)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def disk(source: MemorySource) -> Disk:
    return Disk(source)


@pytest.fixture
def make_keeper(
    guarded_source: Callable[[], GuardedSource], said: list[str]
) -> Callable[[], Keeper]:
    """Return a maker of keepers, of the source with its abilities then."""
    return lambda: Keeper(guarded_source(), said.append)


@pytest.fixture
def keeper(disk: Disk, make_keeper: Callable[[], Keeper]) -> Keeper:
    assert disk.releases == []
    return make_keeper()


async def test_a_source_that_keeps_nothing_is_not_asked_to(
    make_keeper: Callable[[], Keeper], said: list[str]
) -> None:
    keeper = make_keeper()
    await keeper.keep(FIRST)
    assert not keeper.has_unkept
    assert await keeper.kept() is None
    assert said == []


async def test_what_was_kept_last_is_what_is_kept(
    keeper: Keeper, disk: Disk, said: list[str]
) -> None:
    assert await keeper.kept() is None
    await keeper.keep(FIRST)
    await keeper.keep(SECOND)
    assert await keeper.kept() == SECOND
    assert disk.releases == [FIRST, SECOND]
    assert said == []


async def test_what_could_not_be_kept_is_told_once_and_tried_again_until_it_is_kept(
    keeper: Keeper, disk: Disk, said: list[str]
) -> None:
    disk.is_full = True
    await keeper.keep(FIRST)
    await keeper.try_again()
    assert keeper.has_unkept
    (warning,) = said
    assert "no space" in warning
    disk.is_full = False
    await keeper.try_again()
    assert not keeper.has_unkept
    assert disk.releases == [FIRST]
    _, success = said
    assert str(FIRST) in success


async def test_what_is_kept_is_not_kept_again(keeper: Keeper, disk: Disk, said: list[str]) -> None:
    await keeper.keep(FIRST)
    await keeper.try_again()
    assert disk.attempts == 1
    assert said == []


async def test_a_newer_release_is_kept_in_place_of_one_that_could_not_be(
    keeper: Keeper, disk: Disk
) -> None:
    disk.is_full = True
    await keeper.keep(FIRST)
    disk.is_full = False
    await keeper.keep(SECOND)
    await keeper.try_again()
    assert disk.releases == [SECOND]


async def test_each_release_that_cannot_be_kept_is_told(
    keeper: Keeper, disk: Disk, said: list[str]
) -> None:
    disk.is_full = True
    await keeper.keep(FIRST)
    await keeper.keep(SECOND)
    assert len(said) == 2
    disk.is_full = False
    await keeper.try_again()
    assert disk.releases == [SECOND]


async def test_a_mistake_of_a_source_is_told_and_not_tried_again(
    source: MemorySource, make_keeper: Callable[[], Keeper], said: list[str]
) -> None:
    def fail(_: Release) -> None:
        raise ValueError("a slip")

    source.keep_releases()
    source.keep = fail
    keeper = make_keeper()
    await keeper.keep(FIRST)
    assert not keeper.has_unkept
    (warning,) = said
    assert "a slip" in warning


async def test_a_release_that_cannot_be_read_any_more_is_told_and_is_none(
    source: MemorySource, make_keeper: Callable[[], Keeper], said: list[str]
) -> None:
    def fail() -> Release | None:
        raise SourceError("the file is broken")

    source.keep_releases(FIRST)
    source.kept = fail
    assert await make_keeper().kept() is None
    (warning,) = said
    assert "the file is broken" in warning
