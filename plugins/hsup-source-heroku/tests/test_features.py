"""The features of an application that hsup knows are those of its releases."""

from __future__ import annotations

import pytest

from hsup_source_heroku.testing import App, PlatformApi

from .following import MakeSource

METRICS = "log-runtime-metrics"
PATH = f"/features/{METRICS}"
STATUSES = (401, 403, 404, 429, 500)


def asked(api: PlatformApi) -> int:
    """Return how often a feature was asked for."""
    return sum(one.path.endswith(PATH) for one in api.requests)


def test_a_feature_that_is_turned_on_is_one_of_the_release(
    make_source: MakeSource, shop: App
) -> None:
    shop.features.add(METRICS)
    assert make_source().released().features == {METRICS}


@pytest.mark.usefixtures("shop")
def test_one_that_is_turned_off_is_not(make_source: MakeSource) -> None:
    assert make_source().released().features == frozenset()


def test_it_is_asked_for_with_each_release_and_at_no_other_time(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    source.fetch()
    for _ in range(3):
        source.settled()
    assert asked(api) == 1
    shop.features.add(METRICS)
    assert source.settled().features == frozenset()
    shop.release(config={"NAME": "other"})
    assert source.settled().features == {METRICS}
    assert asked(api) == 2


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("status", STATUSES)
def test_a_release_whose_features_cannot_be_read_runs_all_the_same(
    api: PlatformApi, make_source: MakeSource, status: int
) -> None:
    api.fail(api.status(status), path=PATH)
    fetched = make_source().fetch()
    assert fetched.release is not None
    assert (fetched.release.version, fetched.release.features) == (1, frozenset())
    assert (fetched.failure, fetched.warnings) == (None, ())


def test_where_it_cannot_be_read_it_is_what_it_was(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    shop.features.add(METRICS)
    source = make_source()
    source.fetch()
    api.fail(api.status(500), path=PATH)
    shop.release(config={"NAME": "other"})
    release = source.settled()
    assert (release.version, release.features) == (2, frozenset({METRICS}))


def test_it_is_kept_for_the_next_start(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    shop.features.add(METRICS)
    source = make_source()
    source.keep(source.released())
    api.stop()
    kept = make_source().kept()
    assert kept is not None
    assert kept.features == {METRICS}
