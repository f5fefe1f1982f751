"""A release without a checksum runs the archive that it was built from, whatever comes after."""

from __future__ import annotations

import pytest

from hsup.api import Fetched
from hsup.events import ReleaseReceived, ReleaseRejected
from hsup.long_work import current
from hsup.model import Release, Slug
from hsup.supervision.pinning import pinned
from hsup.testing import EventRecorder, MemoryDriver, MemorySource, make_release
from tests.supervision.supervised import Supervise, end, received

OLD, NEW = "a" * 64, "b" * 64
SLUG = Slug(location="slug.tgz")


class UnpackingDriver(MemoryDriver):
    """Finds an archive at the path of a slug, of which only the digest matters."""

    digest: str | None = OLD

    def build(self, release: Release) -> None:
        super().build(release)
        current().archive = self.digest


@pytest.fixture
def driver() -> UnpackingDriver:
    return UnpackingDriver()


def test_a_slug_has_the_checksum_of_what_was_built() -> None:
    assert pinned(SLUG, OLD) == SLUG._replace(checksum=f"SHA256:{OLD}")


@pytest.mark.parametrize(
    "slug",
    [
        None,
        SLUG._replace(checksum="SHA256:x"),
    ],
    ids=["none", "checksum"],
)
def test_what_needs_no_checksum_gets_none(slug: Slug | None) -> None:
    assert pinned(slug, OLD) == slug


def test_what_was_no_archive_stays_as_it_is() -> None:
    assert pinned(SLUG, None) == SLUG


@pytest.mark.parametrize(("digest", "restarts"), [(NEW, True), (OLD, False)])
async def test_another_archive_at_the_same_path_changes_a_release(
    supervise: Supervise,
    source: MemorySource,
    driver: UnpackingDriver,
    told: EventRecorder,
    *,
    digest: str,
    restarts: bool,
) -> None:
    source.give(Fetched(release=make_release(version=1, web=1)._replace(slug=SLUG)))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.digest = digest
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
    supervise: Supervise, source: MemorySource, driver: UnpackingDriver, told: EventRecorder
) -> None:
    """Versions need not differ: a control file without one has version 0."""
    driver.statuses = {"release": 1}
    source.give(Fetched(release=make_release(version=0, web=1)._replace(slug=SLUG)))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.digest = NEW
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


async def test_a_release_is_kept_with_the_archive_that_it_runs(
    supervise: Supervise, source: MemorySource, driver: UnpackingDriver, told: EventRecorder
) -> None:
    kept = source.keep_releases()
    source.give(Fetched(release=make_release(version=1, web=1)._replace(slug=SLUG)))
    supervisor, running = supervise()
    await told.state("web.1", "up")
    driver.digest = NEW  # somebody puts another one at its path
    await end(supervisor, running)
    assert [one.slug for one in kept] == [SLUG._replace(checksum=f"SHA256:{OLD}")]
