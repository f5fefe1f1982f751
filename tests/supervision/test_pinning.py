"""A release without a checksum runs the archive that it was built from, whatever comes after."""

from __future__ import annotations

import pytest

from hsup.api import Fetched
from hsup.events import ReleaseReceived, ReleaseRejected
from hsup.model import Slug
from hsup.supervision.pinning import pinned
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


async def test_a_slug_has_the_checksum_of_what_was_built() -> None:
    assert await pinned(SLUG, Disk().digest_of) == SLUG._replace(checksum=f"SHA256:{OLD}")


async def test_what_is_not_known_stays_as_it_is() -> None:
    disk = Disk()
    disk.digest = None
    assert await pinned(SLUG, disk.digest_of) == SLUG


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
async def test_what_needs_no_checksum_gets_none(slug: Slug | None) -> None:
    assert await pinned(slug, Disk().digest_of) == slug


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


async def test_what_runs_keeps_its_archive_whatever_a_failed_release_was_built_from(
    supervise: Supervise, source: MemorySource, driver: MemoryDriver, told: EventRecorder
) -> None:
    """Versions need not differ: a control file without one has version 0."""
    disk = Disk()
    driver.statuses = {"release": 1}
    source.give(Fetched(release=make_release(version=0, web=1)._replace(slug=SLUG)))
    supervisor, running = supervise(digest_of=disk.digest_of)
    await told.state("web.1", "up")
    disk.digest = NEW
    failing = make_release(version=0, web=2, release=1)._replace(slug=SLUG)
    source.give(Fetched(release=failing))
    await told.until(lambda one: one.of(ReleaseRejected))
    source.give(Fetched(release=failing))  # passed over, but for its scale
    await told.state("web.2", "up")
    old = SLUG._replace(checksum=f"SHA256:{OLD}")
    assert (await driver.dyno("web.2")).spec.slug == old
    assert driver.started["web.1"][-1].spec.slug == old
    assert len(driver.started["web.1"]) == 1
    await end(supervisor, running)
