"""Dynos keep running when the API fails; only a caller that needs it waits."""

from __future__ import annotations

import pytest

from hsup_source_heroku.errors import ApiError, Unauthorized
from hsup_source_heroku.testing import App, PlatformApi

from .following import MakeSource, quantities


def test_failures_before_the_first_release_wait_longer_and_longer(
    api: PlatformApi, make_source: MakeSource, app: App
) -> None:
    source = make_source()
    source.fetch()
    api.fail(api.status(503), times=3)
    for _ in range(3):
        with pytest.raises(ApiError):
            source.tick()
    app.release()
    assert source.tick().release.version == 1
    first, *waits = source.waits
    assert first == 10
    assert 7.5 <= waits[0] <= 12.5
    assert 15 <= waits[1] <= 25
    assert 30 <= waits[2] <= 50


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.usefixtures("shop")
def test_what_is_known_goes_on_while_the_api_fails_and_that_is_told_once(
    api: PlatformApi, make_source: MakeSource, status: int
) -> None:
    source = make_source()
    known = source.fetch().release
    api.fail(api.status(status), times=3)
    answers = [source.tick() for _ in range(4)]
    assert [one.release for one in answers] == [known] * 4
    assert [one.failure is not None for one in answers] == [True, False, False, False]
    assert str(status) in str(answers[0].failure)


def test_with_the_api_away_at_the_start_the_last_release_runs(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    known = make_source().fetch().release
    api.stop()
    source = make_source()
    fetched = source.fetch()
    assert fetched.release == known
    assert fetched.warnings == ("running v1 of shop, the last known release",)
    assert f"cannot reach {api.url}" in str(fetched.failure)
    api.start()
    shop.release(config={"NAME": "second"})
    assert source.settled().version == 2


@pytest.mark.usefixtures("shop")
def test_with_the_api_away_and_nothing_known_the_error_says_where_it_is(
    api: PlatformApi, make_source: MakeSource
) -> None:
    api.stop()
    with pytest.raises(ApiError, match=f"cannot reach {api.url}: "):
        make_source().fetch()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.usefixtures("shop")
def test_a_refusal_is_an_error_at_the_start_and_told_each_time_later(
    api: PlatformApi, make_source: MakeSource, status: int
) -> None:
    running = make_source()
    known = running.fetch().release
    api.fail(api.status(status), times=3)
    for fetched in (running.tick(), running.tick()):
        assert fetched.release == known
        assert isinstance(fetched.failure, Unauthorized)
    with pytest.raises(Unauthorized) as caught:
        make_source().fetch()
    assert caught.value.hint


@pytest.mark.usefixtures("shop")
def test_a_wrong_key_is_told_with_its_remedy_and_not_shown(
    make_source: MakeSource,
) -> None:
    with pytest.raises(Unauthorized, match="HEROKU_ACCESS_TOKEN") as caught:
        make_source(HEROKU_ACCESS_TOKEN="wrong-key").fetch()
    assert "wrong-key" not in str(caught.value)


@pytest.mark.usefixtures("api")
def test_an_application_that_is_not_there_is_named(make_source: MakeSource) -> None:
    with pytest.raises(Unauthorized, match="/apps/shop"):
        make_source().fetch()


@pytest.mark.usefixtures("shop")
def test_a_connection_that_was_closed_meanwhile_is_no_failure(
    api: PlatformApi, make_source: MakeSource
) -> None:
    source = make_source()
    known = source.fetch().release
    api.fail(api.hang_up())
    fetched = source.tick()
    assert (fetched.release, fetched.failure) == (known, None)


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        ("broken_json", 2),
        ("nested", 2),
        ("cut", 2),
        ("hang_up", 4),
        ("not_utf8", 2),
        ("not_modified", 2),
        ("redirect", 2),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_changes_nothing(
    api: PlatformApi, make_source: MakeSource, shop: App, fault: str, times: int
) -> None:
    source = make_source()
    known = source.fetch().release
    shop.scale(web=5)
    api.fail(getattr(api, fault)(), times)
    assert source.tick().release == known
    assert source.tick().release == known
    assert quantities(source.settled()) == {"web": 5, "worker": 0}


@pytest.mark.usefixtures("shop")
def test_the_limit_is_waited_for_as_long_as_the_api_says(
    api: PlatformApi, make_source: MakeSource
) -> None:
    source = make_source()
    source.fetch()
    api.fail(api.status(429, {"Retry-After": "70"}))
    source.tick()
    before = len(api.requests)
    source.fetch()
    assert len(api.requests) == before
    source.tick()
    assert source.waits[0] == 5
    assert 70 <= source.waits[1] <= 87.5


@pytest.mark.usefixtures("shop")
def test_with_few_requests_left_they_are_left_to_others(
    api: PlatformApi, make_source: MakeSource
) -> None:
    source = make_source()
    source.fetch()
    api.rate_limit = 100
    for _ in range(6):
        source.tick()
    assert sum(source.waits[-2:]) == pytest.approx(150, abs=10)


@pytest.mark.usefixtures("shop")
def test_no_server_can_make_hsup_ask_without_a_pause(
    api: PlatformApi, make_source: MakeSource
) -> None:
    source = make_source()
    source.fetch()
    api.fail(api.status(503, {"Retry-After": "0"}), times=20)
    for _ in range(8):
        source.tick()
    assert sum(source.waits[1:]) > 30


def test_a_part_that_cannot_be_had_waits_longer_and_the_formation_is_followed(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    first = source.fetch().release
    shop.release(config={"NAME": "second"})
    api.fail(api.status(500), times=100, path="/config-vars")
    answers = [source.tick() for _ in range(20)]
    assert [one.release for one in answers] == [first] * 20
    assert len([one for one in answers if one.failure]) == 1
    asked = [one.path for one in api.requests if one.path.endswith("/config-vars")]
    assert len(asked) < 8
    shop.scale(web=3)
    assert quantities(source.settled())["web"] == 3


@pytest.mark.usefixtures("shop")
def test_certificates_that_are_not_there_are_told(
    make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    source = make_source(HEROKU_API_URL="https://127.0.0.1:1")
    with pytest.raises(ApiError, match=r"/nowhere\.pem"):
        source.fetch()


@pytest.mark.usefixtures("shop")
def test_an_answer_that_comes_in_drops_ends(
    api: PlatformApi, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source()
    source.fetch()
    monkeypatch.setattr("hsup_source_heroku.client._ANSWER_SECONDS", 0.3)
    api.without_etag = {200, 206}
    api.fail(api.drip(0.1), times=2)
    failure = source.tick().failure or source.tick().failure
    assert " is too long" in str(failure)


def test_a_list_without_an_end_is_given_up(
    api: PlatformApi,
    make_source: MakeSource,
    app: App,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hsup_source_heroku.snapshot._MOST_PAGES", 5)
    app.release(status="failed")
    api.fail(api.endless(), times=100, path="/releases")
    with pytest.raises(ApiError, match="has no end"):
        make_source().fetch()
    assert len(api.requests) < 10
