"""An application on Heroku, by a server that answers as the platform does."""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import tarfile
import time
from collections.abc import Iterator

import pytest

from ftest.program import STACK, Hsup, eventually
from hsup_log_drain.testing import HttpReceiver
from hsup_source_heroku.testing import App, PlatformApi

#: As quick as a test wants it.
CADENCE = {"HSUP_HEROKU_CADENCE": "0.4"}


@pytest.fixture
def api() -> Iterator[PlatformApi]:
    with PlatformApi() as running:
        yield running
    assert running.invalid == []


@pytest.fixture
def shop(api: PlatformApi, hsup: Hsup) -> App:
    hsup.environ |= {
        "HSUP_APP": "shop",
        "HEROKU_API_URL": api.url,
        "HEROKU_ACCESS_TOKEN": api.token,
        "HSUP_HEROKU_DIR": str(hsup.directory / "heroku"),
        "HSUP_SLUGS_DIR": str(hsup.directory / "slugs"),
        "no_proxy": "127.0.0.1",
        **CADENCE,
    }
    return api.create_app("shop", stack=STACK)


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./app/{name}")
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def polled(api: PlatformApi, times: int) -> None:
    """Return when hsup has asked for the releases so many times more."""

    def asked() -> int:
        return len([one for one in api.requests if one.path.endswith("/releases")])

    before = asked()
    assert eventually(lambda: asked() >= before + times)


def test_as_many_dynos_run_as_on_the_platform_with_its_config(hsup: Hsup, shop: App) -> None:
    web = f"echo hello $NAME from $DYNO; exec {hsup.sleep}"
    shop.release(config={"NAME": "value"}, processes={"web": web, "worker": hsup.born})
    shop.scale(web=2)
    running = hsup.start()
    running.wait_for(r"app\[web\.1\]: hello value from web\.1$")
    running.wait_for(r"app\[web\.2\]: hello value from web\.2$")
    assert running.stop() == 0
    assert "worker.1" not in running.out


@pytest.mark.containers_only("the simple driver runs what is in the current directory")
def test_dynos_have_the_code_of_the_slug(hsup: Hsup, shop: App) -> None:
    code = archive(hello=b"#!/bin/sh\necho hello from $PWD\n")
    shop.release(processes={"web": f"./hello; exec {hsup.sleep}"}, archive=code)
    running = hsup.start()
    running.wait_for(r"app\[web\.1\]: hello from /app$")
    assert running.stop() == 0


def test_a_new_release_replaces_all_dynos_and_failed_ones_none(
    hsup: Hsup, shop: App, api: PlatformApi
) -> None:
    shop.release(processes={"web": hsup.born})
    running = hsup.start()
    running.wait_for("born$")
    shop.release(status="failed", processes={"web": "echo never"})
    pending = shop.release(status="pending", processes={"web": f"echo second; exec {hsup.sleep}"})
    polled(api, times=3)
    pending.status = "succeeded"
    running.wait_for(r"app\[web\.1\]: second$")
    shop.release(config={"A": "third"})
    running.wait_for("Release v4 created")
    assert running.stop() == 0
    assert "never" not in running.out


def test_scaling_touches_no_other_dyno(hsup: Hsup, shop: App) -> None:
    shop.release(processes={"web": hsup.born, "worker": hsup.born})
    shop.scale(web=2, worker=0)
    running = hsup.start()
    running.wait_for("born$", count=2)
    before = hsup.sleepers(2)
    shop.scale(web=3, worker=1)
    running.wait_for("born$", count=4)
    assert before < hsup.sleepers(4)
    shop.scale(web=1)
    running.wait_for(r"heroku\[web\.[23]\]: Process exited", count=2)
    left = hsup.sleepers()
    assert len(left) == 2
    assert len(left & before) == 1
    assert running.stop() == 0
    assert running.count("born$") == 4


def test_a_rollback_brings_back_what_was(hsup: Hsup, shop: App) -> None:
    first = {"web": f"echo first $NAME; exec {hsup.sleep}"}
    shop.release(config={"NAME": "good"}, processes=first)
    running = hsup.start()
    running.wait_for("first good$")
    shop.release(config={"NAME": "bad"}, processes={"web": f"echo second $NAME; exec {hsup.sleep}"})
    running.wait_for("second bad$")
    shop.release(config={"NAME": "good"}, processes=first, description="Rollback to v1")
    running.wait_for("first good$", count=2)
    running.wait_for("Release v3 created")
    assert running.stop() == 0


def test_of_two_hundred_releases_none_is_a_mixture_and_the_last_one_runs(
    hsup: Hsup, shop: App
) -> None:
    def release(number: int, status: str = "succeeded") -> None:
        web = f"echo code {number} config $NUMBER; exec {hsup.sleep}"
        shop.release(config={"NUMBER": str(number)}, processes={"web": web}, status=status)

    release(1)
    running = hsup.start()
    running.wait_for("code 1 config 1$")
    for number in range(2, 201):
        release(number, "succeeded" if number % 3 else "failed")
        time.sleep(0.02)
    running.wait_for("code 200 config 200$")
    assert running.stop() == 0
    pairs = re.findall(r"code (\d+) config (\d+)$", running.out, re.MULTILINE)
    assert all(code == config and int(code) % 3 for code, config in pairs)


def test_a_success_behind_two_hundred_failures_runs(hsup: Hsup, shop: App) -> None:
    shop.release(processes={"web": hsup.born})
    for _ in range(200):
        shop.release(status="failed", processes={"web": "echo never"})
    running = hsup.start()
    running.wait_for("born$")
    assert running.stop() == 0
    assert "never" not in running.out


def test_an_application_without_a_release_code_or_dyno_is_waited_for(hsup: Hsup, shop: App) -> None:
    running = hsup.start()
    running.wait_for("There is no release yet, waiting for one")
    shop.release(slug=None, config={"A": "1"}, description="Initial release")
    running.wait_for("Release v1 created")
    shop.scale(web=0)
    shop.release(processes={"web": hsup.born})
    running.wait_for("Release v2 created")
    shop.scale(web=1)
    running.wait_for("born$")
    shop.scale(web=0)
    running.wait_for(r"web\.1\]: Process exited with status")
    shop.scale(web=1)
    running.wait_for("born$", count=2)
    assert running.stop() == 0


def test_dynos_have_the_metadata_of_the_platform_where_that_is_asked_for(
    hsup: Hsup, shop: App
) -> None:
    shop.release(config={"A": "1"}, processes={"web": "true"}, description="Deploy 2c3a0b2")
    shop.release(config={"A": "2"}, description="Set A config vars")
    show = ("run", "--", "sh", "-c", "env | sort | grep -E '^HEROKU_(APP|DYNO|REL|SLUG)'")
    assert hsup.call(*show).text == ""
    shown = hsup.call(*show, env={"HSUP_DYNO_METADATA": "1"}).text
    commit = hashlib.sha1(shop.current.slug.id.encode()).hexdigest()
    for line in (
        f"HEROKU_APP_ID={shop.id}",
        "HEROKU_APP_NAME=shop",
        "HEROKU_RELEASE_CREATED_AT=2026-01-01T00:02:00Z",
        "HEROKU_RELEASE_VERSION=v2",
        f"HEROKU_SLUG_COMMIT={commit}",
    ):
        assert f"{line}\n" in shown
    assert re.search(r"^HEROKU_DYNO_ID=[0-9a-f-]{36}$", shown, re.MULTILINE)


def test_with_the_api_away_for_sixty_cadences_dynos_go_on(
    hsup: Hsup, shop: App, api: PlatformApi
) -> None:
    """At the default cadence, that is ten minutes."""
    seconds = 0.05
    hsup.environ["HSUP_HEROKU_CADENCE"] = str(seconds)
    shop.release(processes={"web": hsup.born})
    running = hsup.start()
    running.wait_for("born$")
    before = hsup.sleepers()
    api.stop()
    time.sleep(60 * seconds)
    assert hsup.sleepers() == before
    api.start()
    shop.release(processes={"web": f"echo second; exec {hsup.sleep}"})
    running.wait_for("second$")
    assert running.count("Cannot fetch a newer release") == 1
    assert running.stop() == 0


def test_with_the_api_away_dynos_go_on_and_start_again(
    hsup: Hsup, shop: App, api: PlatformApi
) -> None:
    shop.release(config={"NAME": "kept"}, processes={"web": f"echo $NAME; exec {hsup.sleep}"})
    first = hsup.start()
    first.wait_for("kept$")
    before = hsup.sleepers()
    api.stop()
    first.wait_for("Cannot fetch a newer release, keeping the current one: cannot reach")
    assert hsup.sleepers() == before
    assert first.stop() == 0
    second = hsup.start()
    second.wait_for("Warning: running v1 of shop, the last known release")
    second.wait_for("kept$")
    api.start()
    shop.release(config={"NAME": "newer"})
    second.wait_for("newer$")
    assert second.stop() == 0


def test_a_wrong_key_is_an_error_with_its_remedy(hsup: Hsup, shop: App) -> None:
    shop.release()
    done = hsup.call("start", env={"HEROKU_ACCESS_TOKEN": "wrong"})
    assert done.status == 1
    assert "rejected the API key" in done.message
    assert "HEROKU_ACCESS_TOKEN" in done.message
    assert "wrong" not in done.message


def test_a_key_that_is_refused_later_is_told_and_dynos_go_on(
    hsup: Hsup, shop: App, api: PlatformApi
) -> None:
    shop.release(processes={"web": hsup.born})
    running = hsup.start()
    running.wait_for("born$")
    before = hsup.sleepers()
    api.token = "another"
    running.wait_for("keeping the current one: .* rejected the API key", count=2)
    assert hsup.sleepers() == before
    api.token = hsup.environ["HEROKU_ACCESS_TOKEN"]
    shop.scale(web=2)
    running.wait_for("born$", count=2)
    assert running.stop() == 0


def test_no_secret_is_in_any_log(hsup: Hsup, shop: App, api: PlatformApi) -> None:
    shop.release(config={"DATABASE_PASSWORD": "s3cret"}, processes={"web": hsup.born})
    running = hsup.start("-v")
    running.wait_for("born$")
    for fault in (api.status(500), api.not_utf8(), api.broken_json()):
        api.fail(fault, path="/config-vars")
    api.fail(api.status(404), path="/blobs/")
    shop.release(config={"DATABASE_PASSWORD": "s3cret", "A": "1"}, processes={"web": hsup.born})
    running.wait_for("Release v2")
    running.send(signal.SIGUSR1)
    running.wait_for("the source answered v2 of shop", count=2)
    assert running.stop() == 0
    for secret in ("s3cret", api.token, "signature"):
        assert secret not in running.said


def test_a_slug_with_another_checksum_is_not_run(hsup: Hsup, shop: App) -> None:
    shop.release(processes={"web": "echo never"}).slug.checksum = f"SHA256:{'0' * 64}"
    done = hsup.call("start")
    assert done.status == 1
    assert "Error R17 (Checksum error)" in done.message
    assert " heroku[supervisor]: Error R17 (Checksum error) -> " in done.text


def test_a_run_has_the_config_and_takes_a_type_for_its_command(hsup: Hsup, shop: App) -> None:
    shop.release(config={"NAME": "value"}, processes={"greet": "echo $NAME"})
    assert hsup.call("run", "greet", "a  b").text == "value a  b\n"
    assert hsup.call("run", "echo $NAME").text == "value\n"


def test_a_release_phase_that_fails_keeps_the_old_release(hsup: Hsup, shop: App) -> None:
    shop.release(processes={"web": hsup.born, "release": "true"})
    running = hsup.start()
    running.wait_for("born$")
    shop.release(processes={"web": "echo never", "release": "echo broken; exit 3"})
    running.wait_for(r"app\[release\.\d{4}\]: broken$")
    running.wait_for("the release phase of v2 of shop exited with status 3")
    shop.release(processes={"web": f"echo third; exec {hsup.sleep}", "release": "true"})
    running.wait_for("third$")
    assert running.stop() == 0
    assert "never" not in running.out


def test_a_release_that_fails_at_a_restart_leaves_what_ran_before(hsup: Hsup, shop: App) -> None:
    shop.release(processes={"web": hsup.born, "release": "echo migrated"})
    first = hsup.start()
    first.wait_for("born$")
    assert first.stop() == 0
    again = hsup.start()
    again.wait_for("born$")
    assert again.stop() == 0
    assert (first.count("migrated$"), again.count("migrated$")) == (1, 0)
    shop.release(processes={"web": "echo never", "release": "exit 3"})
    running = hsup.start()
    running.wait_for("starting the last good one instead: the release phase of v2")
    running.wait_for("born$")
    shop.scale(web=2)
    running.wait_for("born$", count=2)
    assert running.stop() == 0
    assert "never" not in running.out


def test_scaling_runs_no_release_phase(hsup: Hsup, shop: App) -> None:
    shop.release(processes={"web": hsup.born, "release": "echo migrated"})
    running = hsup.start()
    running.wait_for("born$")
    shop.scale(web=2)
    running.wait_for("born$", count=2)
    assert running.stop() == 0
    assert running.count("migrated$") == 1


def test_a_build_is_enough_to_start_without_the_api(
    hsup: Hsup, shop: App, api: PlatformApi
) -> None:
    shop.release(processes={"web": hsup.born})
    assert "built v1 of shop" in hsup.call("build").message
    api.stop()
    running = hsup.start()
    running.wait_for("born$")
    assert running.stop() == 0


def test_releases_are_listed(hsup: Hsup, shop: App) -> None:
    assert "no release yet" in hsup.call("releases").message
    shop.release(description="Deploy 5ca1e00")
    shop.release(config={"A": "1"}, description="Set A config vars")
    shop.release(status="failed", description="Deploy bad")
    lines = hsup.call("releases").text.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["v3", "failed"],
        ["*", "v2"],
        ["v1", "succeeded"],
    ]
    assert "Set A config vars" in lines[2]
    assert len(hsup.call("releases", "-n", "1").text.splitlines()) == 2
    listed = json.loads(hsup.call("releases", "--json", "-a", "shop").text)
    assert [one["version"] for one in listed] == [3, 2, 1]
    assert listed[2]["description"] == "Deploy 5ca1e00"
    wrong = hsup.call("releases", "-a", "other")
    assert wrong.status == 1
    assert "check the name in --app" in wrong.message


def dyno_lines(receiver: HttpReceiver, token: str) -> list[bytes]:
    """Return what dynos wrote and a receiver has taken with a token."""
    ours = [one for one in receiver.requests if one.headers["logplex-drain-token"] == token]
    return [frame.message for one in ours for frame in one.frames if frame.app == "app"]


def test_drains_of_the_application_are_followed_if_the_user_asks_for_it(
    hsup: Hsup, shop: App
) -> None:
    shop.release(processes={"web": "echo first; while sleep 0.1; do echo tick; done"})
    with HttpReceiver() as one, HttpReceiver() as other:
        first = shop.add_drain(f"{one.url}/s3cret")
        running = hsup.start("--follow-drains")
        one.wait_until(lambda: b"first\n" in dyno_lines(one, first.token))
        second = shop.add_drain(f"{other.url}/s3cret")
        other.wait_until(lambda: b"tick\n" in dyno_lines(other, second.token))
        shop.drains.remove(first)
        assert eventually(lambda: one.open_connections == 0)
        taken = len(one.requests)
        before = len(other.requests)
        other.wait_for_requests(before + 3)
        assert len(one.requests) == taken
        assert running.stop() == 0
        assert one.invalid == other.invalid == []
    assert running.count("first$") == 1
    assert running.count("Release v1 created$") == 1
    assert running.count("Scaled to") == 0
    assert "s3cret" not in running.out + running.err


def test_a_one_off_dyno_has_them_too(hsup: Hsup, shop: App, api: PlatformApi) -> None:
    shop.release(processes={"web": "true"})
    with HttpReceiver() as receiver:
        drain = shop.add_drain(receiver.url)
        assert hsup.call("run", "echo one").text == "one\n"
        assert not [one for one in api.requests if one.path.endswith("/log-drains")]
        assert receiver.requests == []
        done = hsup.call("run", "echo two", env={"HSUP_FOLLOW_DRAINS": "1"})
        assert (done.status, done.text) == (0, "two\n")
        assert dyno_lines(receiver, drain.token) == [b"two\n"]
        assert receiver.invalid == []


@pytest.mark.parametrize(
    "words",
    [("check",), ("doctor",), ("start", "--oneshot", "-v", "--log-format", "json", "web=1")],
    ids=lambda words: words[0],
)
def test_their_urls_are_shown_nowhere(hsup: Hsup, shop: App, words: tuple[str, ...]) -> None:
    shop.release(processes={"web": "echo hello"})
    with HttpReceiver() as receiver:
        shop.add_drain(f"{receiver.url}/s3cret?a=s3cret".replace("//", "//s3cret:s3cret@"))
        done = hsup.call(*words, env={"HSUP_FOLLOW_DRAINS": "1"})
        assert bool(receiver.requests) == (words[0] == "start")
    assert done.text + done.message
    assert "s3cret" not in done.text + done.message


@pytest.mark.parametrize("words", [("run", "echo one"), ("start", "--oneshot")])
def test_a_source_without_drains_is_told_once(hsup: Hsup, words: tuple[str, ...]) -> None:
    hsup.procfile(web="echo one")
    done = hsup.call(*words, env={"HSUP_FOLLOW_DRAINS": "1"})
    assert done.status == 0
    (told,) = [line for line in done.message.splitlines() if "FOLLOW_DRAINS" in line]
    assert told == (
        "hsup: warning: HSUP_FOLLOW_DRAINS has no effect: "
        'source "procfile" cannot ask a platform for log drains'
    )
