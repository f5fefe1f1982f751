"""What becomes of a snapshot in a release, and of a release's scale in a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from hsup.model import Command, ProcessType, Release, Slug
from hsup_source_heroku.convert import release, scaled_like
from hsup_source_heroku.snapshot import Artifact, Quantity, Snapshot
from hsup_source_heroku.testing import App

from .following import MakeSource

SLUG = Artifact(
    id="5ca1e",
    commands={"web": ("serve",), "worker": ("work",)},
    checksum="SHA256:" + "0" * 64,
    stack="heroku-22",
    commit="c0ffee",
    description="Merge it",
)
SNAPSHOT = Snapshot(
    app_id="a-1",
    app="shop",
    release_id="r-7",
    version=7,
    created_at="2026-01-01T00:00:00Z",
    description="Deploy c0ffee",
    config={"NAME": "value"},
    stack="heroku-24",
    formation={"web": Quantity(2, "eco")},
    part=SLUG,
    web_url="https://shop-0123.herokuapp.com/",
)


def changed(**fields: Any) -> Snapshot:
    return msgspec.structs.replace(SNAPSHOT, **fields)


def test_a_release_has_what_its_snapshot_says() -> None:
    made = release(SNAPSHOT, "/state/slug.tgz")
    assert made._replace(metadata={}) == Release(
        app="shop",
        version=7,
        config={"NAME": "value"},
        processes=(
            ProcessType("web", Command(("serve",)), 2, "eco"),
            ProcessType("worker", Command(("work",)), 0, None),
        ),
        slug=Slug("/state/slug.tgz", SLUG.checksum),
        stack="heroku-22",
    )


@pytest.mark.parametrize(
    ("part", "stack"),
    [
        (SLUG, "heroku-22"),
        (msgspec.structs.replace(SLUG, stack=None), "heroku-24"),
        (None, "heroku-24"),
    ],
    ids=["of the slug", "of the application", "without a slug"],
)
def test_the_stack_of_the_slug_counts_more_than_the_applications(
    part: Artifact | None, stack: str
) -> None:
    assert release(changed(part=part), "").stack == stack


def test_a_container_image_is_where_the_registry_has_it() -> None:
    image = msgspec.structs.replace(SLUG, location="docker://registry.example/shop@sha256:1")
    made = release(changed(part=image), "/state/slug.tgz")
    assert made.slug == Slug("docker://registry.example/shop@sha256:1", SLUG.checksum)


def test_without_a_slug_there_is_no_process_whatever_the_formation_says() -> None:
    made = release(changed(part=None), "")
    assert (made.slug, made.processes) == (None, ())
    assert made.config == {"NAME": "value"}


def test_metadata_has_the_names_of_the_platform() -> None:
    assert release(SNAPSHOT, "").metadata == {
        "HEROKU_APP_ID": "a-1",
        "HEROKU_APP_DEFAULT_DOMAIN_NAME": "shop-0123.herokuapp.com",
        "HEROKU_RELEASE_CREATED_AT": "2026-01-01T00:00:00Z",
        "HEROKU_SLUG_COMMIT": "c0ffee",
        "HEROKU_SLUG_DESCRIPTION": "Deploy c0ffee",
        "HEROKU_BUILD_COMMIT": "c0ffee",
        "HEROKU_BUILD_DESCRIPTION": "Merge it",
    }


def test_what_the_platform_does_not_say_is_no_metadata() -> None:
    bare = msgspec.structs.replace(SLUG, commit=None, description="")
    for part in (bare, None):
        one = changed(part=part, web_url=None, created_at=None, description=None)
        assert release(one, "").metadata == {"HEROKU_APP_ID": "a-1"}


def test_a_release_has_the_metadata_of_the_platform(make_source: MakeSource, app: App) -> None:
    app.release(description="Deploy 2c3a0b2")
    made = make_source().fetch().release
    assert made is not None
    slug = app.current.slug
    assert slug is not None
    commit = hashlib.sha1(slug.id.encode()).hexdigest()
    assert made.metadata == {
        "HEROKU_APP_ID": app.id,
        "HEROKU_APP_DEFAULT_DOMAIN_NAME": "shop.herokuapp.com",
        "HEROKU_RELEASE_CREATED_AT": "2026-01-01T00:01:00Z",
        "HEROKU_SLUG_COMMIT": commit,
        "HEROKU_SLUG_DESCRIPTION": "Deploy 2c3a0b2",
        "HEROKU_BUILD_COMMIT": commit,
    }


@pytest.mark.parametrize(
    "formation",
    [
        {"web": Quantity(2, "eco")},
        {"web": Quantity(0)},
        {"web": Quantity(3)},
        {"web": Quantity(2, "basic"), "worker": Quantity(1, "eco")},
        {"worker": Quantity(0, "eco")},
        {},
    ],
    ids=str,
)
def test_a_snapshot_that_is_scaled_like_a_release_makes_that_release(
    formation: Mapping[str, Quantity],
) -> None:
    wanted = release(changed(formation=formation), "/state/slug.tgz")
    scaled = scaled_like(SNAPSHOT, wanted)
    assert release(scaled, "/state/slug.tgz") == wanted
    assert msgspec.structs.replace(scaled, formation=SNAPSHOT.formation) == SNAPSHOT


def test_to_be_scaled_like_its_own_release_changes_nothing() -> None:
    """The worker, which the formation does not have, is not added to it."""
    assert scaled_like(SNAPSHOT, release(SNAPSHOT, "")) == SNAPSHOT


def test_quantities_of_types_that_the_release_lacks_are_kept() -> None:
    snapshot = changed(formation={"web": Quantity(2, "eco"), "clock": Quantity(1)})
    wanted = release(changed(formation={"web": Quantity(5)}), "")
    assert scaled_like(snapshot, wanted).formation == {"web": Quantity(5), "clock": Quantity(1)}
