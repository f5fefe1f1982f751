"""The log drains of an application are those of its releases if the user asks for that."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from hsup.model import Drain
from hsup_source_heroku.testing import App, HttpAnswer, PlatformApi

from .following import Followed, MakeSource

PATH = "/log-drains"
LOGS, SYSLOG = "https://user:s3cret@logs.example/in", "syslog+tls://logs.example:6514"


def asked(api: PlatformApi) -> list[int]:
    """Return the status of each answer about the drains."""
    return [one.status for one in api.requests if one.path.endswith(PATH)]


@pytest.fixture
def source(make_source: MakeSource, shop: App) -> Followed:
    """Return a source of an application with one drain."""
    shop.add_drain(LOGS)
    return make_source(follows_drains=True)


def urls(source: Followed) -> list[str]:
    return [one.url for one in source.released().drains]


def a_minute_later(source: Followed) -> tuple[str, ...]:
    """Ask for what is due within a bit more than a minute; return the warnings."""
    warnings: tuple[str, ...] = ()
    end = source.now + 70
    while source.now < end:
        warnings += source.tick().warnings
    return warnings


def test_drains_with_their_tokens_are_those_of_the_release(source: Followed, shop: App) -> None:
    added = shop.add_drain(SYSLOG, addon="papertrail-cubic-1")
    tokens = {LOGS: shop.drains[0].token, SYSLOG: added.token}
    drains = source.released().drains
    assert {one.url: one.token for one in drains} == tokens
    assert "s3cret" not in repr(drains)


def test_nothing_is_asked_for_unless_the_user_asks_for_it(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    shop.add_drain(LOGS)
    source = make_source()
    assert source.released().drains == ()
    a_minute_later(source)
    source.fetch()
    assert asked(api) == []


def test_they_are_asked_for_with_each_release_and_once_a_minute(
    api: PlatformApi, source: Followed, shop: App
) -> None:
    source.fetch()
    assert asked(api) == [200]
    shop.release(config={"NAME": "other"})
    assert source.settled().version == 2
    assert len(asked(api)) == 2
    before = source.now
    for _ in range(180):
        source.tick()
    assert len(asked(api)) - 2 == pytest.approx((source.now - before) / 60, abs=1)
    assert asked(api)[1:] == [304] * (len(asked(api)) - 1)


def test_a_change_needs_no_release(source: Followed, shop: App) -> None:
    first = source.released()
    shop.add_drain(SYSLOG)
    a_minute_later(source)
    changed = source.released()
    assert {one.url for one in changed.drains} == {LOGS, SYSLOG}
    assert changed.differs_in_scale_only(first)
    assert changed._replace(drains=first.drains) == first
    shop.drains.clear()
    a_minute_later(source)
    assert source.released().drains == ()


@pytest.mark.usefixtures("shop")
def test_another_order_is_no_change(source: Followed, shop: App) -> None:
    shop.add_drain(SYSLOG)
    first = source.released()
    shop.drains.reverse()
    a_minute_later(source)
    assert source.released() == first


def test_whoever_reloads_gets_them_at_once(api: PlatformApi, source: Followed, shop: App) -> None:
    source.fetch()
    shop.add_drain(SYSLOG)
    assert set(urls(source)) == {LOGS, SYSLOG}
    assert len(asked(api)) == 2


def test_whoever_reloads_gets_a_faulty_release_rejected_too(source: Followed, shop: App) -> None:
    source.fetch()
    shop.add_drain("file:/tmp/x")
    shop.release(config={"A": "a\0b"})
    shop.add_drain(SYSLOG)
    fetched = source.fetch()
    assert fetched.rejected is not None
    assert fetched.release is not None
    assert fetched.release.version == 1
    assert {one.url for one in fetched.release.drains} == {LOGS, SYSLOG}
    assert len(fetched.warnings) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_failure_keeps_what_is_known_and_is_told_once(
    api: PlatformApi, source: Followed, shop: App, status: int
) -> None:
    first = source.released()
    api.fail(api.status(status), times=1000, path=PATH)
    shop.scale(web=5)
    warnings = a_minute_later(source) + a_minute_later(source)
    (warning,) = warnings
    assert warning.startswith("cannot read the application's log drains, keeping the known ones: ")
    release = source.released()
    assert release.drains == first.drains
    assert release.process("web").quantity == 5
    api.heal()
    shop.add_drain(SYSLOG)
    for _ in range(20):
        a_minute_later(source)
    assert set(urls(source)) == {LOGS, SYSLOG}
    api.fail(api.status(status), times=1000, path=PATH)
    assert len(a_minute_later(source) + a_minute_later(source)) == 1


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_first_release_runs_without_them(api: PlatformApi, source: Followed, status: int) -> None:
    api.fail(api.status(status), path=PATH)
    fetched = source.fetch()
    assert fetched.release is not None
    assert (fetched.release.version, fetched.release.drains) == (1, ())
    assert fetched.failure is None
    assert len(fetched.warnings) == 1


def test_a_failure_of_theirs_hides_no_other(api: PlatformApi, source: Followed) -> None:
    source.fetch()
    api.fail(api.status(500), times=1000, path=PATH)
    assert len(a_minute_later(source)) == 1
    api.fail(api.status(500), times=1000, path="/releases")
    failures = [source.tick().failure for _ in range(4)]
    assert len([*filter(None, failures)]) == 1


def test_a_key_without_the_right_to_them_delays_nothing_else(
    api: PlatformApi, source: Followed
) -> None:
    source.fetch()
    api.fail(api.status(403), times=1000, path=PATH)
    a_minute_later(source)
    api.requests.clear()
    end = source.now + 600
    while source.now < end:
        source.tick()
    assert len([one for one in api.requests if one.path.endswith("/releases")]) >= 59
    assert len(asked(api)) <= 10


def test_those_that_only_an_add_on_knows_are_ignored_with_a_warning(
    api: PlatformApi, make_source: MakeSource, shop: App
) -> None:
    shop.add_drain(LOGS, addon="papertrail-cubic-1")
    api.fail(api.without("url", is_null=True), path=PATH)
    fetched = make_source(follows_drains=True).fetch()
    assert fetched.release is not None
    assert fetched.release.drains == ()
    assert fetched.warnings == (
        'ignoring a log drain of add-on "papertrail-cubic-1": the platform does not tell its URL',
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:/etc/s3cret", 'its scheme is "file"'),
        ("journal:s3cret", 'its scheme is "journal"'),
        ("syslog+udp://s3cret@logs.example", 'its scheme is "syslog+udp"'),
        ("otlp+https://logs.example/s3cret", 'its scheme is "otlp+https"'),
        ("s3cret", "its URL has no scheme"),
        ("s3cret/x:1", "its URL has no scheme"),
        ("", "its URL has no scheme"),
    ],
)
def test_other_schemes_than_those_of_the_platform_are_ignored_with_a_warning(
    source: Followed, shop: App, url: str, told: str
) -> None:
    shop.add_drain(url)
    fetched = source.fetch()
    assert fetched.release is not None
    assert [one.url for one in fetched.release.drains] == [LOGS]
    (warning,) = fetched.warnings
    assert told in warning
    assert "s3cret" not in warning
    shop.add_drain(SYSLOG)
    assert a_minute_later(source) == ()
    assert set(urls(source)) == {LOGS, SYSLOG}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("token", ["a b", "d.1\r\nX: y", "", "x" * 300])
def test_a_token_that_no_header_can_have_is_refused(
    api: PlatformApi, source: Followed, token: str
) -> None:
    def change(answer: HttpAnswer) -> HttpAnswer:
        content = [{**one, "token": token} for one in json.loads(answer.body)]
        return replace(answer, body=json.dumps(content).encode())

    api.fail(change, path=PATH)
    fetched = source.fetch()
    assert fetched.release is not None
    assert fetched.release.drains == ()
    assert "is malformed" in fetched.warnings[0]


def test_they_are_kept_for_a_start_without_the_api_if_that_follows_them(
    api: PlatformApi, make_source: MakeSource, source: Followed, shop: App
) -> None:
    release = source.released()
    source.keep(release)
    shop.add_drain(SYSLOG)
    a_minute_later(source)
    api.stop()
    later = make_source(follows_drains=True)
    kept = later.kept()
    assert kept is not None
    assert {one.url for one in kept.drains} == {LOGS, SYSLOG}
    assert kept.drains == later.released().drains
    assert all(isinstance(one, Drain) and one.token for one in kept.drains)
    other = make_source()
    assert other.kept() == release._replace(drains=())
    assert other.released().drains == ()


def test_their_file_is_for_its_owner_alone(source: Followed, tmp_path: Path) -> None:
    source.fetch()
    (path,) = (tmp_path / "state").rglob("drains.json")
    assert "s3cret" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_damaged_file_is_ignored(
    api: PlatformApi, make_source: MakeSource, source: Followed, tmp_path: Path
) -> None:
    source.keep(source.released())
    (path,) = (tmp_path / "state").rglob("drains.json")
    path.write_text("[{]")
    api.stop()
    kept = make_source(follows_drains=True).kept()
    assert kept is not None
    assert kept.drains == ()


def test_drains_that_cannot_be_kept_are_delivered_to(
    source: Followed, shop: App, tmp_path: Path
) -> None:
    source.fetch()
    (path,) = (tmp_path / "state").rglob("drains.json")
    path.unlink()
    path.mkdir()
    shop.add_drain(SYSLOG)
    (warning,) = a_minute_later(source)
    assert warning.startswith("cannot save the release for the next start in ")
    assert set(urls(source)) == {LOGS, SYSLOG}
