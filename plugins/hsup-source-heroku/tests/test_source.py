"""The releases of an application on a server that answers as the platform does."""

from __future__ import annotations

import pytest

from hsup.errors import UsageError
from hsup.model import Command, ProcessType
from hsup_source_heroku.testing import App, PlatformApi
from hsup_source_heroku.testing.platform_api import SeenRequest

from .following import PROCESSES, MakeSource, quantities


@pytest.mark.usefixtures("shop")
def test_a_release_has_the_config_code_and_formation_of_the_platform(
    make_source: MakeSource,
) -> None:
    fetched = make_source().fetch()
    release = fetched.release
    assert release is not None
    assert (release.app, release.version, release.stack) == ("shop", 1, "heroku-24")
    assert release.config == {"NAME": "value"}
    assert release.processes[0] == ProcessType("web", Command(("serve $PORT",)), 2, "Standard-1X")
    assert quantities(release) == {"web": 2, "worker": 0}
    assert release.slug.checksum.startswith("SHA256:")
    with open(release.slug.location, "rb") as file:
        assert file.read(2) == b"\x1f\x8b"
    assert not fetched.warnings


def test_the_newest_release_that_has_succeeded_is_run(make_source: MakeSource, shop: App) -> None:
    source = make_source()
    pending = shop.release(status="pending", config={"NAME": "later"})
    shop.release(status="failed", config={"NAME": "never"})
    assert source.fetch().release.version == 1
    pending.status = "succeeded"
    assert source.settled().version == 2
    assert source.settled().config == {"NAME": "later"}


def test_a_success_is_found_behind_two_hundred_failures(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    for _ in range(200):
        shop.release(status="failed")
    assert make_source().fetch().release.version == 1
    assert len(api.requests) < 15


@pytest.mark.usefixtures("shop")
def test_what_has_not_changed_costs_one_304_each_time(
    api: PlatformApi, make_source: MakeSource
) -> None:
    source = make_source()
    first = source.fetch().release
    before = len(api.requests)
    assert [source.tick().release for _ in range(6)] == [first] * 6
    asked = api.requests[before:]
    assert [one.status for one in asked] == [304] * 6
    assert {one.path.rpartition("/")[2] for one in asked} == {"releases", "formation"}


def test_an_api_that_gives_no_etags_is_followed_all_the_same(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    api.without_etag = {200, 206}
    source = make_source()
    first = source.fetch().release
    assert source.settled() == first
    shop.release(config={"NAME": "second"})
    assert source.settled().version == 2


def test_the_formation_is_followed_without_a_release(make_source: MakeSource, shop: App) -> None:
    source = make_source()
    before = source.fetch().release
    shop.scale(web=1, worker=3)
    after = source.settled()
    assert quantities(after) == {"web": 1, "worker": 3}
    assert after._replace(processes=()) == before._replace(processes=())


def test_a_config_change_keeps_the_slug_where_it_is(make_source: MakeSource, shop: App) -> None:
    source = make_source()
    before = source.fetch().release
    shop.release(config={"NAME": "other"})
    after = source.settled()
    assert after.config == {"NAME": "other"}
    assert after.slug == before.slug


def test_a_rollback_is_a_release(make_source: MakeSource, shop: App) -> None:
    source = make_source()
    source.fetch()
    shop.release(config={"NAME": "worse"}, processes={"web": "broken"})
    assert source.settled().process("worker") is None
    shop.release(config={"NAME": "value"}, processes=PROCESSES)
    release = source.settled()
    assert (release.version, release.config) == (3, {"NAME": "value"})
    assert release.process("worker") is not None


def test_a_release_that_comes_while_another_is_read_leaves_no_mixture(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    """It arrives right after the config of the first one."""
    source = make_source()

    def between(request: SeenRequest) -> None:
        if request.path.endswith("/config-vars") and shop.releases[-1].version == 1:
            shop.release(config={"NAME": "second"}, processes={"web": "second"})

    api.watch = between
    release = source.fetch().release
    assert (release.version, release.config) == (2, {"NAME": "second"})
    assert release.process("web").command == Command(("second",))


@pytest.mark.usefixtures("app")
def test_an_application_without_a_release_is_waited_for(
    make_source: MakeSource,
) -> None:
    fetched = make_source().fetch()
    assert fetched.release is None
    assert "git push heroku" in str(fetched.remedy)


@pytest.mark.usefixtures("app")
def test_a_first_release_is_looked_for_once_in_a_cadence(
    api: PlatformApi, make_source: MakeSource
) -> None:
    source = make_source()
    source.fetch()
    for _ in range(5):
        source.tick()
    assert source.waits == [10] * 5
    assert len(api.requests) == 6


def test_an_older_release_is_none(api: PlatformApi, make_source: MakeSource, shop: App) -> None:
    source = make_source()
    source.fetch()
    shop.release(config={"NAME": "second"})
    second = source.settled()
    newest = shop.releases.pop()
    assert source.settled() == second
    shop.releases.append(newest)
    shop.release(config={"NAME": "third"})
    assert source.settled().version == 3
    assert api.invalid == []


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_a_cadence_that_is_none_is_refused(make_source: MakeSource, text: str) -> None:
    with pytest.raises(UsageError, match="HSUP_HEROKU_CADENCE"):
        make_source(HSUP_HEROKU_CADENCE=text)
