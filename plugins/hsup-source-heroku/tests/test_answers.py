"""Which fields of answers are required, and what they become in a release."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hsup.model import Command
from hsup_source_heroku.errors import ApiError
from hsup_source_heroku.testing import App, PlatformApi
from hsup_source_heroku.testing.answers import HttpAnswer

from .following import MakeSource, quantities


def test_a_release_without_a_slug_has_no_process(make_source: MakeSource, app: App) -> None:
    app.release(slug=None, config={"A": "1"})
    release = make_source().fetch().release
    assert (release.slug, release.processes, release.config) == (None, (), {"A": "1"})


def test_a_container_image_runs_as_it_is(make_source: MakeSource, app: App) -> None:
    app.image_release("registry.example/shop", {"web": "/cnb/process/web"})
    app.scale(web=1)
    release = make_source().fetch().release
    assert release.slug.location.startswith("docker://registry.example/shop@sha256:")
    assert release.process("web").command == Command(("/cnb/process/web",))


def test_a_process_of_an_image_may_have_no_command_but_the_images_own(
    api: PlatformApi, make_source: MakeSource, app: App
) -> None:
    app.image_release("registry.example/shop", {"web": "", "worker": None})
    app.scale(web=1, worker=1)
    release = make_source().fetch().release
    assert [release.process(name).command for name in ("web", "worker")] == [Command(())] * 2
    api.invalid.clear()  # the schema allows no null there


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"A=B": "s3cret"}, "the name of a config var: must not be empty or contain "),
        ({"A": "s3cret\0"}, "the config var A: must be text without NUL, got a NUL character"),
    ],
)
def test_what_no_process_can_be_given_is_rejected_once(
    api: PlatformApi,
    make_source: MakeSource,
    shop: App,
    config: dict[str, str],
    fault: str,
) -> None:
    source = make_source()
    good = source.fetch().release
    shop.release(config=config)
    answers = [source.tick() for _ in range(4)]
    assert [one.release for one in answers] == [good] * 4
    (rejected,) = [one.rejected for one in answers if one.rejected]
    assert fault in str(rejected)
    assert "s3cret" not in str(rejected)
    api.invalid.clear()  # the schema allows no such name either


SHOWN = {
    "/apps/shop": ("name", "web_url"),
    "/releases": ("user", "user.email", "description", "created_at", "app", "artifacts"),
    "/slugs/": ("commit", "commit_description", "stack", "stack.id"),
    "/features/": ("enabled", "display_name"),
    "/formation": ("dyno_size", "dyno_size.id", "size", "command"),
}


@pytest.mark.parametrize("is_null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, fields in SHOWN.items() for field in fields]
)
@pytest.mark.usefixtures("shop")
def test_a_release_runs_without_what_is_only_shown(
    api: PlatformApi, make_source: MakeSource, path: str, field: str, *, is_null: bool
) -> None:
    change = api.without(field, is_null=is_null)
    if path == "/apps/shop":  # which all other paths begin with
        api.fail(lambda answer: change(answer) if b'"web_url"' in answer.body else answer, 20, path)
    elif path == "/releases":
        api.fail(lambda answer: change(answer) if b'"version"' in answer.body else answer, 20, path)
    else:
        api.fail(change, 20, path)
    fetched = make_source().fetch()
    assert fetched.rejected is None
    assert fetched.release is not None
    assert (fetched.release.app, fetched.release.version) == ("shop", 1)
    assert quantities(fetched.release) == {"web": 2, "worker": 0}


@pytest.mark.parametrize("field", ["id", "version", "status"])
@pytest.mark.usefixtures("shop")
def test_a_release_does_not_run_without_what_counts(
    api: PlatformApi, make_source: MakeSource, field: str
) -> None:
    api.fail(api.without(field, is_null=True), 20, "/releases")
    with pytest.raises(ApiError, match=field):
        make_source().fetch()


@pytest.mark.parametrize("text", ["a\0b", "a/b", "..", "", "a\n", "x" * 300])
@pytest.mark.parametrize("path", ["/releases", "/slugs/"])
@pytest.mark.usefixtures("shop")
def test_an_id_that_no_path_can_have_is_an_error(
    api: PlatformApi, make_source: MakeSource, path: str, text: str
) -> None:
    def change(answer: HttpAnswer) -> HttpAnswer:
        content = json.loads(answer.body)
        for one in content if isinstance(content, list) else [content]:
            one["id"] = text
        return replace(answer, body=json.dumps(content).encode())

    api.fail(change, 20, path)
    with pytest.raises(ApiError, match="is malformed"):
        make_source().fetch()
