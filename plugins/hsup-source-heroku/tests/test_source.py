"""What hsup is told of an application, by a server that answers as the platform does."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from hsup.api import Settings
from hsup.cancellation import GivenUp, until
from hsup.errors import DriverError, HsupError, ReleaseRejected, SourceError, UsageError
from hsup.model import Command, ProcessType
from hsup_source_heroku.credentials import find
from hsup_source_heroku.errors import ApiError, Refused
from hsup_source_heroku.releases import releases
from hsup_source_heroku.source import create


class Followed:
    """A source, asked as hsup does; `waits` are the seconds before each time."""

    def __init__(self, settings):
        self.waits = []
        self.now = 0.0
        self.source = create(settings, sleep=self._sleep, clock=lambda: self.now)
        self._loop = asyncio.new_event_loop()
        self._changes = self.source.changes()
        self._await_change()
        self.keep, self.kept = self.source.keep, self.source.kept

    def close(self):
        self._loop.run_until_complete(self._changes.aclose())
        self._loop.close()
        self.source.close()

    def fetch(self):
        """Ask for the release, and have its slug if there is a new one."""
        fetched = self.source.fetch()
        if fetched.release is not None:
            self.source.fetch_slug(fetched.release)
        return fetched

    def _await_change(self):
        self._loop.run_until_complete(asyncio.wait_for(anext(self._changes), 60))

    async def _sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def tick(self):
        """Ask when it is time: for one of the two things that change."""
        self._await_change()
        return self.fetch()

    def settled(self):
        """Ask for both; return the release."""
        self.tick()
        return self.tick().release


PROCESSES = {"web": "serve $PORT", "worker": "work"}


@pytest.fixture
def environ(api, tmp_path):
    return {
        "HEROKU_API_URL": api.url,
        "HEROKU_ACCESS_TOKEN": api.token,
        "HSUP_HEROKU_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def make_source(environ, tmp_path):
    made = []

    def make(**changed):
        settings = Settings(folder=str(tmp_path), environ={**environ, **changed}, app="shop")
        made.append(Followed(settings))
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.fixture
def app(api):
    return api.create_app("shop", stack="heroku-24")


@pytest.fixture
def shop(app):
    app.release(config={"NAME": "value"}, processes=PROCESSES)
    app.scale(web=2)
    return app


def quantities(release):
    return {one.name: one.quantity for one in release.processes}


@pytest.mark.usefixtures("shop")
def test_a_release_has_the_config_code_and_formation_of_the_platform(make_source):
    fetched = make_source().fetch()
    release = fetched.release
    assert (release.app, release.version, release.stack) == ("shop", 1, "heroku-24")
    assert release.config == {"NAME": "value"}
    assert release.processes[0] == ProcessType("web", Command(("serve $PORT",)), 2, "Standard-1X")
    assert quantities(release) == {"web": 2, "worker": 0}
    assert release.slug.checksum.startswith("SHA256:")
    with open(release.slug.location, "rb") as file:
        assert file.read(2) == b"\x1f\x8b"
    assert not fetched.warnings


def test_the_newest_release_that_has_succeeded_is_run(make_source, shop):
    source = make_source()
    pending = shop.release(status="pending", config={"NAME": "later"})
    shop.release(status="failed", config={"NAME": "never"})
    assert source.fetch().release.version == 1
    pending.status = "succeeded"
    assert source.settled().version == 2
    assert source.settled().config == {"NAME": "later"}


def test_a_success_is_found_behind_two_hundred_failures(api, make_source, shop):
    for _ in range(200):
        shop.release(status="failed")
    assert make_source().fetch().release.version == 1
    assert len(api.requests) < 15


@pytest.mark.usefixtures("shop")
def test_what_has_not_changed_costs_one_304_each_time(api, make_source):
    source = make_source()
    first = source.fetch().release
    before = len(api.requests)
    assert [source.tick().release for _ in range(6)] == [first] * 6
    asked = api.requests[before:]
    assert [one.status for one in asked] == [304] * 6
    assert {one.path.rpartition("/")[2] for one in asked} == {"releases", "formation"}


def test_an_api_that_gives_no_etags_is_followed_all_the_same(api, make_source, shop):
    api.without_etag = {200, 206}
    source = make_source()
    first = source.fetch().release
    assert source.settled() == first
    shop.release(config={"NAME": "second"})
    assert source.settled().version == 2


def test_the_formation_is_followed_without_a_release(make_source, shop):
    source = make_source()
    before = source.fetch().release
    shop.scale(web=1, worker=3)
    after = source.settled()
    assert quantities(after) == {"web": 1, "worker": 3}
    assert after._replace(processes=()) == before._replace(processes=())


def test_a_config_change_keeps_the_slug_where_it_is(make_source, shop):
    source = make_source()
    before = source.fetch().release
    shop.release(config={"NAME": "other"})
    after = source.settled()
    assert after.config == {"NAME": "other"}
    assert after.slug == before.slug


def test_a_rollback_is_a_release(make_source, shop):
    source = make_source()
    source.fetch()
    shop.release(config={"NAME": "worse"}, processes={"web": "broken"})
    assert source.settled().process("worker") is None
    shop.release(config={"NAME": "value"}, processes=PROCESSES)
    release = source.settled()
    assert (release.version, release.config) == (3, {"NAME": "value"})
    assert release.process("worker") is not None


def test_a_release_that_comes_while_another_is_read_leaves_no_mixture(api, make_source, shop):
    """It comes right behind the first one's config."""
    source = make_source()

    def between(request):
        if request.path.endswith("/config-vars") and shop.releases[-1].version == 1:
            shop.release(config={"NAME": "second"}, processes={"web": "second"})

    api.watch = between
    release = source.fetch().release
    assert (release.version, release.config) == (2, {"NAME": "second"})
    assert release.process("web").command == Command(("second",))


@pytest.mark.usefixtures("app")
def test_an_application_without_a_release_is_waited_for(make_source):
    fetched = make_source().fetch()
    assert fetched.release is None
    assert "git push heroku" in fetched.remedy


@pytest.mark.usefixtures("app")
def test_a_first_release_is_looked_for_once_in_a_cadence(api, make_source):
    source = make_source()
    source.fetch()
    for _ in range(5):
        source.tick()
    assert source.waits == [10] * 5
    assert len(api.requests) == 6


def test_failures_before_the_first_release_wait_longer_and_longer(api, make_source, app):
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


def test_a_release_without_a_slug_has_no_process(make_source, app):
    app.release(slug=None, config={"A": "1"})
    release = make_source().fetch().release
    assert (release.slug, release.processes, release.config) == (None, (), {"A": "1"})


def test_a_container_image_runs_as_it_is(make_source, app):
    app.image_release("registry.example/shop", {"web": "/cnb/process/web"})
    app.scale(web=1)
    release = make_source().fetch().release
    assert release.slug.location.startswith("docker://registry.example/shop@sha256:")
    assert release.process("web").command == Command(("/cnb/process/web",))


def test_a_process_of_an_image_may_have_no_command_but_the_images_own(api, make_source, app):
    app.image_release("registry.example/shop", {"web": "", "worker": None})
    app.scale(web=1, worker=1)
    release = make_source().fetch().release
    assert [release.process(name).command for name in ("web", "worker")] == [Command(())] * 2
    api.invalid.clear()  # the schema allows no null there


def test_a_slug_without_a_checksum_is_taken_as_it_is(make_source, shop):
    shop.has_checksums = False
    release = make_source().fetch().release
    assert release.slug.checksum is None


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"A=B": "s3cret"}, "the name of a config var: must not be empty, or have "),
        ({"A": "s3cret\0"}, "the config var A: must be text without NUL, got a NUL character"),
    ],
)
def test_what_no_process_can_be_given_is_rejected_once(api, make_source, shop, config, fault):
    source = make_source()
    good = source.fetch().release
    shop.release(config=config)
    answers = [source.tick() for _ in range(4)]
    assert [one.release for one in answers] == [good] * 4
    (rejected,) = [one.rejected for one in answers if one.rejected]
    assert fault in str(rejected)
    assert "s3cret" not in str(rejected)
    api.invalid.clear()  # the schema allows no such name either


@pytest.mark.usefixtures("api")
def test_a_slug_with_another_checksum_is_rejected(make_source, shop, tmp_path):
    source = make_source()
    good = source.fetch().release
    shop.release(archive=b"\x1f\x8bsomething", processes=PROCESSES)
    shop.releases[-1].slug.checksum = "SHA256:" + "0" * 64
    with pytest.raises(ReleaseRejected, match=r"Error R17 \(Checksum error\)") as caught:
        source.settled()
    assert caught.value.code == "R17"
    assert [str(path) for path in tmp_path.glob("state/*/shop/slugs/*")] == [good.slug.location]
    assert make_source().source.kept() is None


def test_of_a_new_release_each_part_is_asked_for_once(api, make_source, shop):
    source = make_source()
    source.fetch()
    before = len(api.requests)
    release = shop.release(processes={"web": "second"})
    source.settled()
    asked = [one.path.removeprefix("/apps/shop") for one in api.requests[before:]]
    for path in ("", f"/releases/{release.id}/config-vars", f"/slugs/{release.slug.id}"):
        assert asked.count(path) == 1
    assert asked.count(f"/blobs/{release.slug.id}") == 1
    assert len(asked) <= 8


@pytest.mark.parametrize("checksum", ["SHA256:abc", "md5:0", "none"])
def test_a_checksum_that_is_none_is_rejected_before_anything_is_downloaded(
    api, make_source, shop, checksum
):
    source = make_source()
    good = source.fetch().release
    shop.release(processes=PROCESSES).slug.checksum = checksum
    answers = [source.tick() for _ in range(4)]
    assert [one.release for one in answers] == [good] * 4
    (rejected,) = [one.rejected for one in answers if one.rejected]
    assert "64 hexadecimal digits" in str(rejected)
    assert len([one for one in api.requests if one.path.startswith("/blobs/")]) == 1


@pytest.mark.usefixtures("shop")
def test_a_slug_that_is_too_large_is_rejected(make_source, app, monkeypatch):
    monkeypatch.setattr("hsup.archives.limits.DEFAULT_MAX_SIZE", "1M")
    app.release(archive=os.urandom(1 << 21))
    with pytest.raises(ReleaseRejected, match="HSUP_SLUGS_MAX_SIZE"):
        make_source().fetch()


def test_an_older_release_is_none(api, make_source, shop):
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


@pytest.mark.usefixtures("shop")
def test_an_expired_url_is_asked_for_again(api, make_source):
    def expire(request):
        if "/slugs/" in request.path:
            api.expire_blobs()
            api.watch = None

    api.watch = expire
    assert make_source().fetch().release.version == 1


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.usefixtures("shop")
def test_what_is_known_goes_on_while_the_api_fails_and_that_is_told_once(api, make_source, status):
    source = make_source()
    known = source.fetch().release
    api.fail(api.status(status), times=3)
    answers = [source.tick() for _ in range(4)]
    assert [one.release for one in answers] == [known] * 4
    assert [one.failure is not None for one in answers] == [True, False, False, False]
    assert str(status) in str(answers[0].failure)


def test_with_the_api_away_at_the_start_the_last_release_runs(api, make_source, shop):
    known = make_source().fetch().release
    api.stop()
    source = make_source()
    fetched = source.fetch()
    assert fetched.release == known
    assert fetched.warnings == ("running v1 of shop, the last release that is known",)
    assert f"cannot reach {api.url}" in str(fetched.failure)
    api.start()
    shop.release(config={"NAME": "second"})
    assert source.settled().version == 2


@pytest.mark.usefixtures("shop")
def test_with_the_api_away_and_nothing_known_the_error_says_where_it_is(api, make_source):
    api.stop()
    with pytest.raises(ApiError, match=f"cannot reach {api.url}: "):
        make_source().fetch()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.usefixtures("shop")
def test_a_refusal_is_an_error_at_the_start_and_told_each_time_later(api, make_source, status):
    running = make_source()
    known = running.fetch().release
    api.fail(api.status(status), times=3)
    for fetched in (running.tick(), running.tick()):
        assert fetched.release == known
        assert isinstance(fetched.failure, Refused)
    with pytest.raises(Refused) as caught:
        make_source().fetch()
    assert caught.value.hint


@pytest.mark.usefixtures("shop")
def test_a_wrong_key_is_told_with_its_remedy_and_not_shown(make_source):
    with pytest.raises(Refused, match="HEROKU_ACCESS_TOKEN") as caught:
        make_source(HEROKU_ACCESS_TOKEN="wrong-key").fetch()
    assert "wrong-key" not in str(caught.value)


@pytest.mark.usefixtures("api")
def test_an_application_that_is_not_there_is_named(make_source):
    with pytest.raises(Refused, match="/apps/shop"):
        make_source().fetch()


@pytest.mark.usefixtures("shop")
def test_a_connection_that_was_closed_meanwhile_is_no_failure(api, make_source):
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
    api, make_source, shop, fault, times
):
    source = make_source()
    known = source.fetch().release
    shop.scale(web=5)
    api.fail(getattr(api, fault)(), times)
    assert source.tick().release == known
    assert source.tick().release == known
    assert quantities(source.settled()) == {"web": 5, "worker": 0}


@pytest.mark.usefixtures("shop")
def test_the_limit_is_waited_for_as_long_as_the_api_says(api, make_source):
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
def test_with_few_requests_left_they_are_left_to_others(api, make_source):
    source = make_source()
    source.fetch()
    api.rate_limit = 100
    for _ in range(6):
        source.tick()
    assert sum(source.waits[-2:]) == pytest.approx(150, abs=10)


@pytest.mark.usefixtures("shop")
def test_no_server_can_make_hsup_ask_without_a_pause(api, make_source):
    source = make_source()
    source.fetch()
    api.fail(api.status(503, {"Retry-After": "0"}), times=20)
    for _ in range(8):
        source.tick()
    assert sum(source.waits[1:]) > 30


def test_a_part_that_cannot_be_had_waits_longer_and_the_formation_is_followed(
    api, make_source, shop
):
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


def kept_files(tmp_path):
    return {path.name: path for path in tmp_path.glob("state/*/shop/*.json")}


@pytest.mark.usefixtures("shop")
def test_what_is_kept_is_for_the_user_alone(make_source, tmp_path):
    source = make_source()
    source.keep(source.fetch().release)
    kept = kept_files(tmp_path)
    assert kept.keys() == {"newest.json", "running.json"}
    for path in kept.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert json.loads(path.read_text())["config"] == {"NAME": "value"}
    archives = [path for path in tmp_path.rglob("slugs/*") if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in archives] == [0o600]


def test_what_was_accepted_is_kept_until_something_newer_is(make_source, shop):
    source = make_source()
    assert source.kept() is None
    first = source.fetch().release
    source.keep(first)
    shop.release(config={"NAME": "second"}, processes={"web": "second"})
    second = source.settled()
    assert make_source().kept() == first
    source.keep(second)
    assert make_source().kept() == second


@pytest.mark.usefixtures("shop")
def test_what_runs_beside_the_newest_release_is_not_kept(make_source):
    source = make_source()
    release = source.fetch().release
    source.keep(release._replace(version=0))
    assert source.kept() is None


def test_what_runs_is_kept_though_newer_releases_were_fetched_and_failed(
    make_source, shop, tmp_path
):
    source = make_source()
    runs = source.fetch().release
    (running,) = {path.with_name("running.json.new") for path in kept_files(tmp_path).values()}
    running.mkdir()  # in the way, as a full disk would be
    with pytest.raises(SourceError, match="cannot keep the release"):
        source.keep(runs)
    for command in ("second", "third", "fourth"):
        shop.release(processes={"web": command})
        source.settled()
    running.rmdir()
    scaled = runs._replace(processes=(runs.processes[0]._replace(quantity=5), *runs.processes[1:]))
    source.keep(scaled)
    assert make_source().kept() == scaled
    assert os.path.exists(runs.slug.location)


def test_what_runs_is_kept_though_a_newer_release_was_fetched_before(make_source, shop):
    source = make_source()
    runs = source.fetch().release
    shop.release(processes={"web": "second"})
    source.settled()
    source.keep(runs)
    assert make_source().kept() == runs


def test_the_archives_are_those_of_what_runs_and_of_the_two_newest(make_source, shop, tmp_path):
    """Another hsup on the same folder may be unpacking the last but one."""
    source = make_source()
    releases = [source.fetch().release]
    source.keep(releases[0])
    for command in ("second", "third", "fourth"):
        shop.release(processes={"web": command})
        releases.append(source.settled())
    archives = {str(path) for path in tmp_path.glob("state/*/shop/slugs/*")}
    assert archives == {one.slug.location for one in (releases[0], *releases[2:])}


@pytest.mark.parametrize("end", [b"", b"\xff"])
def test_a_broken_kept_release_is_passed_over(api, make_source, shop, tmp_path, *, caplog, end):
    source = make_source()
    first = source.fetch().release
    source.keep(first)
    shop.release(config={"NAME": "second"})
    source.settled()
    running = kept_files(tmp_path)["running.json"]
    before, value, after = running.read_bytes().partition(b"value")
    running.write_bytes(before + value + end + (end and after))
    assert make_source().fetch().release.version == 2
    api.stop()
    assert make_source().fetch().release.version == 2
    assert "running.json, it is passed over" in caplog.text
    assert first.config["NAME"] not in caplog.text


@pytest.mark.usefixtures("shop")
def test_a_kept_release_that_is_nested_too_deep_is_passed_over(make_source, tmp_path):
    make_source().fetch()
    kept_files(tmp_path)["newest.json"].write_text('{"x": ' + "[" * 200_000)
    assert make_source().fetch().release.version == 1


@pytest.mark.usefixtures("shop")
def test_a_kept_release_without_its_slug_is_none(api, make_source):
    os.unlink(make_source().fetch().release.slug.location)
    api.stop()
    with pytest.raises(ApiError, match="cannot reach"):
        make_source().fetch()


@pytest.mark.usefixtures("shop")
def test_what_a_crash_left_half_written_is_replaced(make_source, tmp_path):
    make_source().fetch()
    newest = kept_files(tmp_path)["newest.json"]
    (newest.parent / "newest.json.new").write_bytes(b"x" * 1_000_000)
    (newest.parent / "slugs" / "x.tgz.part").mkdir()
    newest.unlink()
    release = make_source().fetch().release
    assert [path.name for path in newest.parent.glob("*.new")] == []
    assert [str(path) for path in newest.parent.glob("slugs/*")] == [release.slug.location]


def test_two_at_once_have_one_archive_between_them(api, make_source, shop):
    api.fail(api.slow(0.2), path="/blobs/")
    with ThreadPoolExecutor() as pool:
        sources = [make_source() for _ in range(4)]
        releases = list(pool.map(lambda one: one.fetch().release, sources))
    assert releases == [releases[0]] * 4
    assert [one.path for one in api.requests if one.path.startswith("/blobs/")] == [
        f"/blobs/{shop.current.slug.id}"
    ]


def test_a_release_has_the_metadata_of_the_platform(make_source, app):
    app.release(description="Deploy 2c3a0b2")
    release = make_source().fetch().release
    commit = hashlib.sha1(app.current.slug.id.encode()).hexdigest()
    assert release.metadata == {
        "HEROKU_APP_ID": app.id,
        "HEROKU_APP_DEFAULT_DOMAIN_NAME": "shop.herokuapp.com",
        "HEROKU_RELEASE_CREATED_AT": "2026-01-01T00:01:00Z",
        "HEROKU_SLUG_COMMIT": commit,
        "HEROKU_SLUG_DESCRIPTION": "Deploy 2c3a0b2",
        "HEROKU_BUILD_COMMIT": commit,
    }


SHOWN = {
    "/apps/shop": ("name", "web_url"),
    "/releases": ("user", "user.email", "description", "created_at", "app", "artifacts"),
    "/slugs/": ("commit", "commit_description", "stack", "stack.id"),
    "/formation": ("dyno_size", "dyno_size.id", "size", "command"),
}


def without(field, *, is_null):
    """Leave a field out of an answer, or let it be null; `user.email` is in another."""

    def change(answer):
        content = json.loads(answer.body)
        *above, last = field.split(".")
        for one in content if isinstance(content, list) else [content]:
            for name in above:
                one = one[name]  # noqa: PLW2901 - goes down
            if is_null:
                one[last] = None
            else:
                del one[last]
        return answer._replace(body=json.dumps(content).encode())

    return change


@pytest.mark.parametrize("is_null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, fields in SHOWN.items() for field in fields]
)
@pytest.mark.usefixtures("shop")
def test_a_release_runs_without_what_is_only_shown(api, make_source, path, field, *, is_null):
    change = without(field, is_null=is_null)
    if path == "/apps/shop":  # which all other paths begin with
        api.fail(lambda answer: change(answer) if b'"web_url"' in answer.body else answer, 20, path)
    elif path == "/releases":
        api.fail(lambda answer: change(answer) if b'"version"' in answer.body else answer, 20, path)
    else:
        api.fail(change, 20, path)
    fetched = make_source().fetch()
    assert fetched.rejected is None
    assert (fetched.release.app, fetched.release.version) == ("shop", 1)
    assert quantities(fetched.release) == {"web": 2, "worker": 0}


@pytest.mark.parametrize("field", ["id", "version", "status"])
@pytest.mark.usefixtures("shop")
def test_a_release_does_not_run_without_what_counts(api, make_source, field):
    api.fail(without(field, is_null=True), 20, "/releases")
    with pytest.raises(ApiError, match=field):
        make_source().fetch()


@pytest.mark.parametrize("text", ["a\0b", "a/b", "..", "", "a\n", "x" * 300])
@pytest.mark.parametrize("path", ["/releases", "/slugs/"])
@pytest.mark.usefixtures("shop")
def test_an_id_that_no_path_can_have_is_an_error(api, make_source, path, text):
    def change(answer):
        content = json.loads(answer.body)
        for one in content if isinstance(content, list) else [content]:
            one["id"] = text
        return answer._replace(body=json.dumps(content).encode())

    api.fail(change, 20, path)
    with pytest.raises(ApiError, match="is not one of the API's"):
        make_source().fetch()


@pytest.mark.usefixtures("shop")
def test_releases_are_listed_without_what_is_only_shown(api, environ, tmp_path, capsys):
    for field in ("user", "description", "created_at"):
        api.fail(without(field, is_null=True), path="/releases")
        settings = Settings(folder=str(tmp_path), environ=environ, app="shop")
        before = SimpleNamespace(settings=lambda settings=settings: settings)
        releases.main([], obj=before, standalone_mode=False)
        assert "v1" in capsys.readouterr().out
    api.fail(without("description", is_null=True), path="/releases")
    releases.main(["--json"], obj=before, standalone_mode=False)
    assert json.loads(capsys.readouterr().out)[0]["description"] is None


def test_an_earlier_name_of_a_size_is_not_asked_for(api, make_source, shop):
    shop.resize("web", "Hobby")
    assert make_source().fetch().release.process("web").size == "Hobby"
    assert "/dyno-sizes" not in [one.path for one in api.requests]


@pytest.mark.parametrize(
    ("asked", "had"),
    [
        ("Performance-M", "Performance-M"),
        ("dyno-2c-1gb", "standard-2x"),
        ("dyno-64c-1tb", "performance-2xl"),
    ],
)
def test_a_size_that_hsup_has_not_is_the_one_next_to_it(make_source, shop, asked, had):
    shop.resize("web", asked)
    assert make_source().fetch().release.process("web").size == had


def test_sizes_are_asked_for_where_they_are_needed_only(api, make_source, shop):
    source = make_source()
    source.fetch()
    assert "/dyno-sizes" not in [one.path for one in api.requests]
    shop.resize("web", "dyno-2c-1gb")
    source.settled()
    shop.resize("worker", "dyno-2c-1gb")
    source.settled()
    assert [one.path for one in api.requests].count("/dyno-sizes") == 1


@pytest.mark.usefixtures("shop")
def test_a_folder_that_cannot_be_written_is_told(make_source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HsupError, match="HSUP_HEROKU_DIR"):
        make_source(HSUP_HEROKU_DIR=str(tmp_path / "file")).fetch()


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_a_cadence_that_is_none_is_refused(make_source, text):
    with pytest.raises(UsageError, match="HSUP_HEROKU_CADENCE"):
        make_source(HSUP_HEROKU_CADENCE=text)


def test_a_url_with_a_password_is_refused_and_not_shown(make_source):
    with pytest.raises(UsageError, match="HEROKU_API_URL") as caught:
        make_source(HEROKU_API_URL="https://me:s3cret@example.com")
    assert "s3cret" not in str(caught.value)


def test_the_entry_of_netrc_for_all_other_hosts_is_no_key(tmp_path, environ):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine other.example login a password b\ndefault login me password secret\n")
    environ = {"NETRC": str(netrc), "HEROKU_API_URL": environ["HEROKU_API_URL"]}
    assert find(environ) is None


def test_another_machines_entry_in_netrc_may_be_in_any_encoding(tmp_path, environ):
    netrc = tmp_path / "netrc"
    machine = urlsplit(environ["HEROKU_API_URL"]).hostname
    other = b"machine other.example login Ren\xe9 password \xfcber\n"
    netrc.write_bytes(other + f"machine {machine} login me password secret\n".encode())
    environ = {"NETRC": str(netrc), "HEROKU_API_URL": environ["HEROKU_API_URL"]}
    assert find(environ) == "secret"


def test_a_key_in_netrc_that_no_header_can_carry_is_refused(tmp_path, environ):
    netrc = tmp_path / "netrc"
    machine = urlsplit(environ["HEROKU_API_URL"]).hostname
    netrc.write_bytes(f"machine {machine} password ".encode() + b"s\xe9cret\n")
    environ = {"NETRC": str(netrc), "HEROKU_API_URL": environ["HEROKU_API_URL"]}
    with pytest.raises(UsageError, match=r"the key in .* is none"):
        find(environ)


@pytest.mark.usefixtures("shop")
def test_certificates_that_are_not_there_are_told(make_source, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    source = make_source(HEROKU_API_URL="https://127.0.0.1:1")
    with pytest.raises(ApiError, match=r"/nowhere\.pem"):
        source.fetch()


@pytest.mark.usefixtures("shop")
def test_an_answer_that_comes_in_drops_ends(api, make_source, monkeypatch):
    source = make_source()
    source.fetch()
    monkeypatch.setattr("hsup_source_heroku.client._ANSWER_SECONDS", 0.3)
    api.without_etag = {200, 206}
    api.fail(api.drip(0.1), times=2)
    failure = source.tick().failure or source.tick().failure
    assert "its answer does not come to an end" in str(failure)


def test_a_list_without_an_end_is_given_up(api, make_source, app, monkeypatch):
    monkeypatch.setattr("hsup_source_heroku.snapshot._MOST_PAGES", 5)
    app.release(status="failed")
    api.fail(api.endless(), times=100, path="/releases")
    with pytest.raises(ApiError, match="has no end"):
        make_source().fetch()
    assert len(api.requests) < 10


def test_a_slug_that_is_not_there_is_no_reason_to_end(api, make_source, shop):
    known = make_source().fetch().release
    shop.release(processes={"web": "second"})
    api.fail(api.status(404), path="/slugs/")
    fetched = make_source().fetch()
    assert fetched.release == known
    assert "/slugs/" in str(fetched.failure)


@pytest.mark.parametrize("url", ["api.heroku.com", "ftp://x", "http://", "http://[::1"])
def test_a_url_that_is_none_is_refused(make_source, url):
    with pytest.raises(UsageError, match="HEROKU_API_URL"):
        make_source(HEROKU_API_URL=url)


def test_a_newer_release_is_seen_while_a_slug_is_fetched_which_is_given_up(api, make_source, shop):
    source = make_source()
    source.fetch()
    shop.release(archive=os.urandom(200_000), processes=PROCESSES)
    source.now += 3600
    second = source.source.fetch().release
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


def test_a_slug_that_comes_too_slowly_is_an_error_of_this_time(api, make_source, shop, monkeypatch):
    monkeypatch.setattr("hsup.archives.download.MIN_RATE_SECONDS", 0.1)
    source = make_source(HSUP_SLUGS_MIN_RATE="99999999")
    shop.release(archive=os.urandom(200_000), processes=PROCESSES)
    release = source.source.fetch().release
    api.fail(api.drip(0.01), path="/blobs/")
    with pytest.raises(DriverError, match="less than 99999999 bytes a second") as caught:
        source.source.fetch_slug(release)
    assert "signature" not in str(caught.value)


def test_a_release_that_was_fetched_without_its_slug_is_not_run_without_the_api(
    api, make_source, shop
):
    source = make_source()
    first = source.fetch().release
    shop.release(processes={"web": "second"})
    source.now += 3600
    assert source.source.fetch().release.version == 2
    api.stop()
    assert make_source().source.fetch().release == first
