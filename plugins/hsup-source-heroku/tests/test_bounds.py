"""Time, size and redirects are limited for every kind of request."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from hsup_source_heroku.budget import Budget
from hsup_source_heroku.client import Client
from hsup_source_heroku.errors import ApiError, BrokenAnswer
from hsup_source_heroku.snapshot import Reader
from hsup_source_heroku.testing import HttpAnswer, PlatformApi, SeenRequest

REQUESTS = ["releases", "apps/*", "config-vars", "formation", "dyno-sizes", "slugs", "oci-images"]
#: A release runs without its answer.
SPARED = "features"


@pytest.fixture
def apps(api: PlatformApi) -> list[str]:
    """Return the names of applications with all resources that hsup asks for."""
    api.create_app("code").release(config={"A": "x" * 99}, processes={"web": "serve"})
    api.apps["code"].resize("web", "a-size-of-next-year")
    api.create_app("image").image_release("registry.example.com/app", {"web": "serve"})
    return list(api.apps)


def ask(api: PlatformApi, apps: Iterable[str]) -> None:
    """Ask for all resources that hsup asks for."""
    with closing(Client(api.url, api.token, Budget())) as client:
        for app in apps:
            reader = Reader(client, app)
            assert reader.history(3)
            newest = reader.newest()
            assert newest
            snapshot = reader.take(newest)
            if app == "code":
                reader.archive_url(snapshot.part.id)
                reader.archive_url(snapshot.part.id)


def kind(seen: SeenRequest) -> str:
    """Return the kind of a request: the last word of its path that is not an id."""
    words = seen.path.split("/")[1:]
    if len(words) == 2:
        return "apps/*"
    return words[-1] if words[-1] in REQUESTS else words[2]


def oversized(answer: HttpAnswer) -> HttpAnswer:
    return replace(answer, body=answer.body + b" " * (1 << 20))


ENDLESS, ELSEWHERE = " is too long", " elsewhere"


with_each_fault = pytest.mark.parametrize(
    "fault",
    [(oversized, ENDLESS), (PlatformApi.drip(0.1), ENDLESS), (PlatformApi.redirect(), ELSEWHERE)],
    ids=["large", "slow", "redirected"],
)


@pytest.mark.parametrize("request_kind", REQUESTS)
@with_each_fault
def test_each_request_is_bounded(
    api: PlatformApi,
    apps: list[str],
    monkeypatch: pytest.MonkeyPatch,
    request_kind: str,
    fault: tuple[Callable[..., Any], str],
) -> None:
    ask(api, apps)
    assert {kind(one) for one in api.requests} == {*REQUESTS, SPARED}
    assert {one.method for one in api.requests} == {"GET"}
    before = next(n for n, one in enumerate(api.requests) if kind(one) == request_kind)
    api.requests.clear()
    if fault[0] is not oversized:
        monkeypatch.setattr("hsup_source_heroku.client._ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("hsup_source_heroku.client._MOST_BYTES", 1 << 19)
    api.fail(lambda answer: answer, times=before)
    api.fail(fault[0])
    with pytest.raises(ApiError, match=fault[1]):
        ask(api, apps)
    assert kind(api.requests[-1]) == request_kind
    assert len(api.requests) == before + 1


@with_each_fault
def test_a_request_without_whose_answer_a_release_runs_is_bounded_too(
    api: PlatformApi,
    apps: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: tuple[Callable[..., Any], str],
) -> None:
    if fault[0] is not oversized:
        monkeypatch.setattr("hsup_source_heroku.client._ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("hsup_source_heroku.client._MOST_BYTES", 1 << 19)
    caplog.set_level("INFO")
    api.fail(fault[0], path=f"/{SPARED}/")
    ask(api, apps)
    (told,) = [one for one in caplog.messages if one.startswith("cannot read a feature")]
    assert fault[1] in told


def test_a_list_that_begins_again_is_given_up(api: PlatformApi, apps: list[str]) -> None:
    again = {"Next-Range": "version ..; max=100, order=desc"}
    api.fail(lambda one: replace(one, headers={**one.headers, **again}), times=100)
    client = Client(api.url, api.token, Budget())
    with closing(client), pytest.raises(BrokenAnswer, match="has no end"):
        Reader(client, apps[0]).history(10**9)
    assert len(api.requests) < 5


@pytest.mark.parametrize("host", ["[bad:1", "/cret@proxy:1", ":1"])
def test_the_password_of_a_proxy_is_not_told(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://me:s3{'' if host[0] == '/' else 'cret@'}{host}")
    client = Client("http://api.example.com", "key", Budget())
    with closing(client), pytest.raises(ApiError, match="HTTPS_PROXY") as caught:
        client.get("/apps/shop")
    assert "s3" not in "".join(traceback.format_exception(caught.value))
