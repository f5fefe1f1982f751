"""A release without a checksum runs the archive that it was built from, whatever comes after."""

from __future__ import annotations

import pytest

from hsup.api import Fetched
from hsup.events import ReleaseReceived
from hsup.model import Release, Slug
from hsup.supervision.pinning import Pins
from hsup.testing import EventRecorder, MemoryDriver, MemorySource, make_release
from tests.supervision.supervised import Supervise, end, received

OLD, NEW = "a" * 64, "b" * 64
SLUG = Slug(location="slug.tgz")


class Disk:
    """Has an archive, of which only the digest matters."""

    digest: str | None = OLD

    def digest_of(self, slug: Slug) -> str | None:
        assert slug == SLUG
        return self.digest


def release(version: int = 1, slug: Slug | None = SLUG) -> Release:
    return Release(app="shop", version=version, slug=slug)


class TestPins:
    async def test_a_release_has_the_archive_that_it_was_built_from(self) -> None:
        disk = Disk()
        pins = Pins(disk.digest_of)
        first, second = release(1), release(2)
        await pins.note(first, None)
        disk.digest = NEW
        await pins.note(second, first)
        assert pins.pinned(first) == release(1, SLUG._replace(checksum=f"SHA256:{OLD}"))
        assert pins.pinned(second) == release(2, SLUG._replace(checksum=f"SHA256:{NEW}"))

    async def test_only_what_runs_and_what_was_built_last_are_remembered(self) -> None:
        pins = Pins(Disk().digest_of)
        await pins.note(release(1), None)
        await pins.note(release(2), release(1))
        await pins.note(release(3), release(1))
        assert pins.pinned(release(2)) == release(2)
        assert pins.pinned(release(1)) != release(1)

    async def test_what_is_not_known_stays_as_it_is(self) -> None:
        disk = Disk()
        disk.digest = None
        pins = Pins(disk.digest_of)
        await pins.note(release(), None)
        assert pins.pinned(release()) == release()

    @pytest.mark.parametrize(
        "slug",
        [
            None,
            SLUG._replace(checksum="SHA256:x"),
            Slug(location="docker://x"),
            Slug(location="/srv/shop", inode=7),
        ],
        ids=["none", "checksum", "image", "directory of the release"],
    )
    async def test_what_needs_no_checksum_gets_none(self, slug: Slug | None) -> None:
        pins = Pins(Disk().digest_of)
        await pins.note(release(slug=slug), None)
        assert pins.pinned(release(slug=slug)) == release(slug=slug)


@pytest.mark.parametrize(("digest", "restarts"), [(NEW, True), (OLD, False)])
async def test_another_archive_at_the_same_path_changes_a_release(
    supervise: Supervise,
    source: MemorySource,
    driver: MemoryDriver,
    told: EventRecorder,
    *,
    digest: str,
    restarts: bool,
) -> None:
    disk = Disk()
    source.give(Fetched(release=make_release(version=1, web=1)._replace(slug=SLUG)))
    supervisor, running = supervise(digest_of=disk.digest_of)
    await told.state("web.1", "up")
    disk.digest = digest
    source.give(Fetched(release=make_release(version=2, web=2)._replace(slug=SLUG)))
    await told.state("web.2", "up")
    await told.until(lambda one: len(one.of(ReleaseReceived)) == 2)
    assert received(told) == [1, 2]
    if restarts:
        replaced = await driver.dyno("web.1", nth=2)
        assert replaced.spec.slug == SLUG._replace(checksum=f"SHA256:{NEW}")
    assert driver.attempts == 2 + restarts
    await end(supervisor, running)
