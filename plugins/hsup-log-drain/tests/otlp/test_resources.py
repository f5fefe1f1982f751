from __future__ import annotations

import os

import pytest

from hsup.api import LogBatch
from hsup.launch import dyno_id
from hsup_log_drain.otlp.resources import attributes

METADATA = {
    "HEROKU_APP_ID": "2daa2797-e42b-4624-9322-ec3f968df4da",
    "HEROKU_RELEASE_CREATED_AT": "2026-10-23T18:00:42Z",
    "HEROKU_SLUG_COMMIT": "e6134959463efd8966b20e75b913cafe3f5ec",
    "HEROKU_SLUG_DESCRIPTION": "Deploy e613495",
}
HOST = os.uname().nodename


def batch(dyno: str = "web.1", app: str | None = "shop", release: int | None = 42) -> LogBatch:
    return LogBatch(1, "app", dyno, "stdout", b"x\n", app=app, release=release)


def test_a_dyno_has_the_attributes_of_the_conventions() -> None:
    assert attributes(batch(), METADATA) == {
        "service.name": "shop",
        "service.version": "v42",
        "service.instance.id": dyno_id("shop", 42, "web.1"),
        "heroku.dyno.name": "web.1",
        "heroku.dyno.type": "web",
        "cloud.provider": "heroku",
        "heroku.app.id": "2daa2797-e42b-4624-9322-ec3f968df4da",
        "heroku.release.creation_timestamp": "2026-10-23T18:00:42Z",
        "heroku.release.commit": "e6134959463efd8966b20e75b913cafe3f5ec",
        "host.name": HOST,
    }


def test_what_is_not_known_is_left_out() -> None:
    assert attributes(batch("cron-a.3"), {"HEROKU_APP_ID": ""}) == {
        "service.name": "shop",
        "service.version": "v42",
        "service.instance.id": dyno_id("shop", 42, "cron-a.3"),
        "heroku.dyno.name": "cron-a.3",
        "heroku.dyno.type": "cron-a",
        "host.name": HOST,
    }


def test_before_there_is_a_release_the_service_is_hsup() -> None:
    assert attributes(batch("supervisor", app=None, release=None), METADATA) == {
        "service.name": "hsup",
        "heroku.dyno.name": "supervisor",
        "host.name": HOST,
    }


@pytest.mark.parametrize("name", ["supervisor", "api", "logplex", "web.", ".1", "web.x"])
def test_what_is_no_dyno_has_no_id(name: str) -> None:
    found = attributes(batch(name), METADATA)
    assert found["heroku.dyno.name"] == name
    assert "service.instance.id" not in found
    assert "heroku.dyno.type" not in found


def test_a_dyno_of_an_earlier_release_has_nothing_of_the_one_that_runs() -> None:
    metadata = {**METADATA, "HEROKU_APP_NAME": "shop", "HEROKU_RELEASE_VERSION": "v43"}
    found = attributes(batch(), metadata)
    assert found["heroku.app.id"] == METADATA["HEROKU_APP_ID"]
    assert found["service.version"] == "v42"
    assert not any(name.startswith("heroku.release") for name in found)


def test_a_dyno_of_another_app_has_nothing_of_the_one_that_runs() -> None:
    found = attributes(batch(app="old"), {**METADATA, "HEROKU_APP_NAME": "shop"})
    assert not any(name.startswith(("heroku.app", "heroku.release", "cloud")) for name in found)
