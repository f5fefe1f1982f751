"""The server of the other tests answers as the Platform API does."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import hsup_source_heroku
from hsup_source_heroku.testing import App, PlatformApi, PublishedSchema, tiny_archive

NEWEST = "version ..; max=1, order=desc"
IMAGES = "application/vnd.heroku+json; version=3.sdk"


@pytest.fixture
def get(api: PlatformApi) -> Iterator[Callable[..., requests.Response]]:
    """Return a function that asks the API over one connection."""
    with requests.Session() as session:

        def ask(path: str, *, token: str | None = None, **headers: str) -> requests.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            named["Authorization"] = f"Bearer {token or api.token}"
            return session.get(api.url + path, headers=named, timeout=60)

        yield ask


@pytest.fixture
def app(api: PlatformApi) -> App:
    return api.create_app("shop")


def versions(answer: requests.Response) -> list[int]:
    return [release["version"] for release in answer.json()]


def test_an_application_has_an_id_and_a_name(
    get: Callable[..., requests.Response], app: App
) -> None:
    by_name = get("/apps/shop").json()
    assert get(f"/apps/{app.id}").json() == by_name
    assert (by_name["id"], by_name["stack"]["name"]) == (app.id, "heroku-24")


@pytest.mark.usefixtures("app")
def test_only_the_right_key_is_accepted(get: Callable[..., requests.Response]) -> None:
    answer = get("/apps/shop", token="another")
    assert answer.status_code == 401
    assert answer.json() == {"id": "unauthorized", "message": "Invalid credentials provided."}


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/apps/other", "app"),
        ("/apps/shop/releases/7", "release"),
        ("/apps/shop/releases/1/other", "release"),
        ("/apps/shop/slugs/7", "slug"),
        ("/apps/shop/oci-images/7", "oci image"),
        ("/", "app"),
    ],
)
def test_what_is_not_there_is_not_found(
    get: Callable[..., requests.Response], app: App, path: str, resource: str
) -> None:
    app.release()
    answer = get(path)
    assert answer.status_code == 404
    assert answer.json() == {"id": "not_found", "message": f"Couldn't find that {resource}."}


@pytest.mark.usefixtures("app")
def test_nothing_can_be_changed(api: PlatformApi) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    with requests.Session() as session:
        for _ in range(2):
            path = api.url + "/apps/shop"
            answer = session.patch(path, json={"name": "other"}, headers=headers, timeout=60)
            assert answer.status_code == 404


def test_a_list_is_given_page_by_page(get: Callable[..., requests.Response], app: App) -> None:
    for _ in range(5):
        app.release()
    wanted: str | None = "version ..; max=2, order=desc"
    pages = []
    while wanted:
        answer = get("/apps/shop/releases", Range=wanted)
        wanted = answer.headers.get("Next-Range")
        assert answer.status_code == (206 if wanted else 200)
        pages.append(versions(answer))
    assert pages == [[5, 4], [3, 2], [1]]
    assert answer.headers["Content-Range"].startswith("version 1..1")


def test_a_list_begins_with_the_oldest_unless_asked_otherwise(
    get: Callable[..., requests.Response], app: App
) -> None:
    app.release()
    app.release()
    assert versions(get("/apps/shop/releases")) == [1, 2]
    assert versions(get("/apps/shop/releases", Range="version 2..")) == [2]
    assert get("/apps/shop/releases", Range="bytes=0-").status_code == 416


@pytest.mark.usefixtures("app")
def test_an_application_without_a_release_has_empty_lists(
    get: Callable[..., requests.Response],
) -> None:
    assert get("/apps/shop/releases", Range=NEWEST).json() == []
    assert get("/apps/shop/formation").json() == []


def test_a_release_becomes_the_current_one_when_it_succeeds(
    get: Callable[..., requests.Response], app: App
) -> None:
    app.release(processes={"web": "./old"})
    second = app.release(status="pending", processes={"web": "./new"})

    def current() -> str:
        return get("/apps/shop/formation").json()[0]["command"]

    assert get("/apps/shop/releases/2").json()["current"] is False
    assert current() == "./old"
    second.status = "succeeded"
    assert get(f"/apps/shop/releases/{second.id}").json()["current"] is True
    assert current() == "./new"


def test_a_change_of_the_config_keeps_the_slug(
    get: Callable[..., requests.Response], app: App
) -> None:
    app.release(config={"A": "1"}, processes={"web": "./serve"})
    app.release(config={"A": "2"})
    app.release()
    first, second, third = get("/apps/shop/releases").json()
    assert first["slug"] == second["slug"] != third["slug"]
    assert first["artifacts"] == [{"type": "slug", "id": first["slug"]["id"]}]
    configs = [get(f"/apps/shop/releases/{one}/config-vars").json() for one in (1, 2, 3)]
    assert configs == [{"A": "1"}, {"A": "2"}, {"A": "2"}]
    slug = get(f"/apps/shop/slugs/{third['slug']['id']}").json()
    assert slug["process_types"] == {"web": "./serve"}


def test_a_release_may_have_no_slug(get: Callable[..., requests.Response], app: App) -> None:
    app.release(slug=None)
    release = get("/apps/shop/releases/1").json()
    assert (release["slug"], release["artifacts"]) == (None, [])


def test_only_a_variant_tells_the_image_of_a_release(
    api: PlatformApi, get: Callable[..., requests.Response]
) -> None:
    app = api.create_app("fir-shop", stack="cnb")
    app.image_release("registry/builds", {"web": "/cnb/process/web"})
    app.release()
    path = "/apps/fir-shop/releases/1"
    plain, variant = get(path).json(), get(path, Accept=IMAGES).json()
    assert (plain["slug"], plain["artifacts"][0]["type"]) == (None, "oci-image")
    assert "oci_image" not in plain
    assert variant["oci_image"] == {"id": plain["artifacts"][0]["id"]}
    assert get("/apps/fir-shop/releases/2", Accept=IMAGES).json()["oci_image"] is None

    (image,) = get(f"/apps/fir-shop/oci-images/{variant['oci_image']['id']}").json()
    assert get(f"/apps/fir-shop/oci-images/{image['digest']}").json() == [image]
    assert image["image_repo"] == "registry/builds"
    assert image["process_types"]["web"]["command"] == "/cnb/process/web"
    assert get(f"/apps/fir-shop/slugs/{image['id']}").status_code == 404


def test_the_formation_changes_without_a_release(
    get: Callable[..., requests.Response], app: App
) -> None:
    app.release(processes={"web": "./serve", "worker": "./work"})

    def formation() -> dict[str, tuple[int, str]]:
        found = get("/apps/shop/formation").json()
        return {one["type"]: (one["quantity"], one["dyno_size"]["name"]) for one in found}

    assert formation() == {"web": (1, "Standard-1X"), "worker": (0, "Standard-1X")}
    app.scale(worker=3)
    app.resize("web", "Performance-M")
    assert formation() == {"web": (1, "Performance-M"), "worker": (3, "Standard-1X")}
    assert len(versions(get("/apps/shop/releases"))) == 1


def test_sizes_tell_their_memory(get: Callable[..., requests.Response]) -> None:
    memory = {one["name"]: one["memory"] for one in get("/dyno-sizes").json()}
    assert memory["Standard-2X"] == 1


def slug_of(get: Callable[..., requests.Response]) -> Any:
    (release,) = get("/apps/shop/releases", Range=NEWEST).json()
    return get(f"/apps/shop/slugs/{release['slug']['id']}").json()


def test_an_archive_can_be_had_without_a_key(
    get: Callable[..., requests.Response], app: App
) -> None:
    app.release()
    slug = slug_of(get)
    answer = requests.get(slug["blob"]["url"], timeout=60)
    assert answer.content == tiny_archive()
    assert slug["checksum"] == f"SHA256:{hashlib.sha256(answer.content).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == ["./app/ok"]


def test_a_part_of_an_archive_can_be_had(get: Callable[..., requests.Response], app: App) -> None:
    app.release(archive=b"0123456789")
    url = slug_of(get)["blob"]["url"]

    def part(wanted: str, **headers: str) -> tuple[int, bytes, str | None]:
        answer = requests.get(url, headers={"Range": wanted, **headers}, timeout=60)
        return answer.status_code, answer.content, answer.headers.get("Content-Range")

    assert part("bytes=4-") == (206, b"456789", "bytes 4-9/10")
    assert part("bytes=4-5") == (206, b"45", "bytes 4-5/10")
    assert part("bytes=10-") == (416, b"", "bytes */10")
    assert part("bytes=4-", **{"If-Range": '"another"'}) == (200, b"0123456789", None)


def test_every_address_of_an_archive_expires(
    api: PlatformApi, get: Callable[..., requests.Response], app: App
) -> None:
    app.release()
    first, second = (slug_of(get)["blob"]["url"] for _ in range(2))
    assert first != second
    api.expire_blobs()
    assert requests.get(first, timeout=60).status_code == 403
    api.blob_seconds = 0
    assert requests.get(slug_of(get)["blob"]["url"], timeout=60).status_code == 403
    assert requests.get(second.partition("?")[0], timeout=60).status_code == 403


def test_an_archive_may_have_no_checksum(get: Callable[..., requests.Response], app: App) -> None:
    app.has_checksums = False
    app.release()
    assert slug_of(get)["checksum"] is None


def test_an_answer_that_is_known_is_not_repeated(
    get: Callable[..., requests.Response], app: App
) -> None:
    app.release()
    path = "/apps/shop/releases"
    known = get(path, Range=NEWEST).headers["ETag"]
    again = get(path, Range=NEWEST, If_None_Match=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", known)
    assert again.headers["Request-Id"]
    app.release()
    assert get(path, Range=NEWEST, If_None_Match=known).status_code == 206


def test_a_status_may_be_without_an_etag(
    api: PlatformApi, get: Callable[..., requests.Response], app: App
) -> None:
    app.release()
    app.release()
    api.without_etag = {206}
    assert "ETag" in get("/apps/shop").headers
    assert "ETag" not in get("/apps/shop/releases", Range=NEWEST).headers


@pytest.mark.usefixtures("app")
def test_every_answer_costs_one_of_the_limit(
    api: PlatformApi, get: Callable[..., requests.Response]
) -> None:
    api.rate_limit = 3
    known = get("/apps/shop").headers["ETag"]
    assert get("/apps/shop", If_None_Match=known).headers["RateLimit-Remaining"] == "1"
    assert get("/account/rate-limits").json() == {"remaining": 1}
    assert get("/apps/shop").ok
    refused = get("/apps/shop")
    assert (refused.status_code, refused.json()["id"]) == (429, "rate_limit")


@pytest.mark.usefixtures("app")
def test_requests_are_remembered(api: PlatformApi, get: Callable[..., requests.Response]) -> None:
    before = time.monotonic()
    get("/apps/shop")
    get("/apps/other")
    assert [(one.method, one.path, one.status) for one in api.requests] == [
        ("GET", "/apps/shop", 200),
        ("GET", "/apps/other", 404),
    ]
    assert before <= api.requests[0].time <= api.requests[1].time <= time.monotonic()


def test_something_may_happen_between_two_requests(
    api: PlatformApi, get: Callable[..., requests.Response], app: App
) -> None:
    app.release(config={"A": "1"})
    api.watch = lambda seen: app.release(config={"A": seen.path})
    assert versions(get("/apps/shop/releases")) == [1]
    assert get("/apps/shop/releases/2/config-vars").json() == {"A": "/apps/shop/releases"}


@pytest.mark.usefixtures("app")
def test_a_fault_hits_as_many_requests_as_it_is_told(
    api: PlatformApi, get: Callable[..., requests.Response]
) -> None:
    api.fail(api.status(503), times=2, path="/formation")
    api.fail(api.status(429, {"Retry-After": "7"}))
    limited = get("/apps/shop")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert limited.json()["id"] == "rate_limit"
    assert [get("/apps/shop/formation").status_code for _ in range(3)] == [503, 503, 200]


@pytest.mark.usefixtures("app")
def test_an_answer_may_be_no_json(api: PlatformApi, get: Callable[..., requests.Response]) -> None:
    api.fail(api.broken_json())
    with pytest.raises(json.JSONDecodeError):
        get("/apps/shop").json()


@pytest.mark.parametrize("fault", ["cut", "hang_up"])
@pytest.mark.usefixtures("app")
def test_a_connection_may_end_too_early(
    api: PlatformApi, get: Callable[..., requests.Response], fault: str
) -> None:
    api.fail(getattr(api, fault)())
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get("/apps/shop")
    assert get("/apps/shop").ok


@pytest.mark.usefixtures("app")
def test_an_answer_may_be_late(api: PlatformApi, get: Callable[..., requests.Response]) -> None:
    api.fail(api.slow(0.2))
    start = time.monotonic()
    assert get("/apps/shop").ok
    assert time.monotonic() - start >= 0.2


@pytest.mark.usefixtures("app")
def test_an_api_that_was_away_comes_back_where_it_was(
    api: PlatformApi, get: Callable[..., requests.Response]
) -> None:
    url = api.url
    assert get("/apps/shop").ok
    api.stop()
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            get("/apps/shop")
    api.start()
    assert get("/apps/shop").ok
    assert api.url == url


def test_an_answer_that_is_not_as_published_is_noticed(tmp_path: Path) -> None:
    pytest.importorskip("jsonschema")
    app = {
        "strictProperties": True,
        "properties": {"id": {"$ref": "#/definitions/app/definitions/id"}},
        "definitions": {"id": {"type": ["string"]}},
        "links": [
            {"method": "GET", "href": "/apps/{(x)}", "targetSchema": {"$ref": "#/definitions/app"}}
        ],
    }
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"definitions": {"app": app}}))
    schema = PublishedSchema(str(path))
    assert schema.problems("/apps/shop", {"id": "1"}) == []
    assert schema.problems("/apps/shop", {"id": 1}) == [
        "/apps/shop: $.id: 1 is not of type 'string'"
    ]
    assert len(schema.problems("/apps/shop", {"other": 1})) == 2
    assert schema.problems("/other", {}) == ["/other: no such path is published"]


def test_whoever_tests_a_program_from_outside_needs_nothing_else_for_it() -> None:
    program = f"""
import sys
before = {{*sys.modules}}
sys.path.append({str(Path(hsup_source_heroku.__file__).parents[1])!r})
import hsup_source_heroku.testing
found = {{name.partition(".")[0] for name in {{*sys.modules}} - before}}
print(*sorted(found - {{*sys.stdlib_module_names}}))
"""
    command = [sys.executable, "-SIc", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "hsup_source_heroku\n"
