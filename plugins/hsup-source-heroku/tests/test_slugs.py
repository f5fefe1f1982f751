"""The slug of a release is downloaded before that is built."""

from __future__ import annotations

import contextvars
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hsup.cancellation import GivenUp, until
from hsup.errors import DriverError, InvalidRelease
from hsup_source_heroku.testing import App, PlatformApi
from hsup_source_heroku.testing.platform_api import SeenRequest

from .following import PROCESSES, MakeSource


def test_a_slug_without_a_checksum_is_taken_as_it_is(make_source: MakeSource, shop: App) -> None:
    shop.has_checksums = False
    release = make_source().fetch().release
    assert release.slug.checksum is None


@pytest.mark.usefixtures("api")
def test_a_slug_with_another_checksum_is_rejected(
    make_source: MakeSource, shop: App, tmp_path: Path
) -> None:
    source = make_source()
    good = source.fetch().release
    shop.release(archive=b"\x1f\x8bsomething", processes=PROCESSES)
    shop.releases[-1].slug.checksum = "SHA256:" + "0" * 64
    with pytest.raises(InvalidRelease, match=r"Error R17 \(Checksum error\)") as caught:
        source.settled()
    assert caught.value.code == "R17"
    assert caught.value.platform_line is not None
    assert caught.value.platform_line.text.startswith("Error R17 (Checksum error) -> ")
    assert [str(path) for path in tmp_path.glob("state/*/shop/slugs/*")] == [good.slug.location]
    assert make_source().source.kept() is None


def test_of_a_new_release_each_part_is_asked_for_once(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    source.fetch()
    before = len(api.requests)
    release = shop.release(processes={"web": "second"})
    source.settled()
    asked = [one.path.removeprefix("/apps/shop") for one in api.requests[before:]]
    once = ("", f"/releases/{release.id}/config-vars", "/features/log-runtime-metrics")
    for path in (*once, f"/slugs/{release.slug.id}"):
        assert asked.count(path) == 1
    assert asked.count(f"/blobs/{release.slug.id}") == 1
    assert len(asked) <= 9


@pytest.mark.parametrize("checksum", ["SHA256:abc", "md5:0", "none"])
def test_a_checksum_that_is_none_is_rejected_before_anything_is_downloaded(
    api: PlatformApi, make_source: MakeSource, shop: App, checksum: str
) -> None:
    source = make_source()
    good = source.fetch().release
    shop.release(processes=PROCESSES).slug.checksum = checksum
    answers = [source.tick() for _ in range(4)]
    assert [one.release for one in answers] == [good] * 4
    (rejected,) = [one.rejected for one in answers if one.rejected]
    assert "64 hexadecimal digits" in str(rejected)
    assert len([one for one in api.requests if one.path.startswith("/blobs/")]) == 1


@pytest.mark.usefixtures("shop")
def test_a_slug_that_is_too_large_is_rejected(
    make_source: MakeSource, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.archives.limits.DEFAULT_MAX_SIZE", "1M")
    app.release(archive=os.urandom(1 << 21))
    with pytest.raises(InvalidRelease, match="HSUP_SLUGS_MAX_SIZE"):
        make_source().fetch()


@pytest.mark.usefixtures("shop")
def test_an_expired_url_is_asked_for_again(api: PlatformApi, make_source: MakeSource) -> None:
    def expire(request: SeenRequest) -> None:
        if "/slugs/" in request.path:
            api.expire_blobs()
            api.watch = None

    api.watch = expire
    assert make_source().fetch().release.version == 1


def test_two_at_once_have_one_archive_between_them(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    api.fail(api.slow(0.2), path="/blobs/")
    with ThreadPoolExecutor() as pool:
        sources = [make_source() for _ in range(4)]
        releases = list(pool.map(lambda one: one.fetch().release, sources))
    assert releases == [releases[0]] * 4
    assert [one.path for one in api.requests if one.path.startswith("/blobs/")] == [
        f"/blobs/{shop.current.slug.id}"
    ]


def test_a_slug_that_is_not_there_is_no_reason_to_end(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    known = make_source().fetch().release
    shop.release(processes={"web": "second"})
    api.fail(api.status(404), path="/slugs/")
    fetched = make_source().fetch()
    assert fetched.release == known
    assert "/slugs/" in str(fetched.failure)


def test_a_newer_release_is_seen_while_a_slug_is_fetched_which_is_given_up(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    source.fetch()
    shop.release(archive=os.urandom(200_000), processes=PROCESSES)
    source.now += 3600
    second = source.source.fetch().release
    assert second is not None
    api.fail(api.drip(0.01), path="/blobs/")
    given_up = threading.Event()
    with ThreadPoolExecutor() as pool, until(given_up):
        fetching = pool.submit(contextvars.copy_context().run, source.source.fetch_slug, second)
        shop.release(config={"NAME": "third"}, processes={"web": "third"})
        third = make_source().source.fetch().release
        given_up.set()
        with pytest.raises(GivenUp):
            fetching.result(60)
    assert (second.version, third.version) == (2, 3)
    assert not os.path.exists(second.slug.location)
    source.source.fetch_slug(second)
    assert os.path.exists(second.slug.location)


def test_a_slug_that_comes_too_slowly_is_an_error_of_this_time(
    api: PlatformApi,
    make_source: MakeSource,
    shop: App,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hsup.archives.download.MIN_RATE_SECONDS", 0.1)
    source = make_source(HSUP_SLUGS_MIN_RATE="99999999")
    shop.release(archive=os.urandom(200_000), processes=PROCESSES)
    release = source.source.fetch().release
    assert release is not None
    api.fail(api.drip(0.01), path="/blobs/")
    with pytest.raises(DriverError, match="less than 99999999 bytes a second") as caught:
        source.source.fetch_slug(release)
    assert "signature" not in str(caught.value)


def test_a_release_that_was_fetched_without_its_slug_is_not_run_without_the_api(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    first = source.fetch().release
    shop.release(processes={"web": "second"})
    source.now += 3600
    assert source.source.fetch().release.version == 2
    api.stop()
    assert make_source().source.fetch().release == first
