from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from hsup.errors import HsupError, SourceError
from hsup_source_heroku.errors import ApiError
from hsup_source_heroku.testing import App, PlatformApi

from .following import MakeSource


def kept_files(tmp_path: Path) -> dict[str, Path]:
    return {path.name: path for path in tmp_path.glob("state/*/shop/*.json")}


@pytest.mark.usefixtures("shop")
def test_what_is_kept_is_for_the_user_alone(make_source: MakeSource, tmp_path: Path) -> None:
    source = make_source()
    source.keep(source.released())
    kept = kept_files(tmp_path)
    assert kept.keys() == {"newest.json", "running.json"}
    for path in kept.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert json.loads(path.read_text())["config"] == {"NAME": "value"}
    archives = [path for path in tmp_path.rglob("slugs/*") if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in archives] == [0o600]


def test_what_was_accepted_is_kept_until_something_newer_is(
    make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    assert source.kept() is None
    first = source.released()
    source.keep(first)
    shop.release(config={"NAME": "second"}, processes={"web": "second"})
    second = source.settled()
    assert make_source().kept() == first
    source.keep(second)
    assert make_source().kept() == second


def test_what_runs_is_kept_with_the_checksum_that_hsup_has_found(
    make_source: MakeSource, shop: App
) -> None:
    """Slugs that were made long ago have none."""
    shop.has_checksums = False
    source = make_source()
    runs = source.released()
    slug = runs.slug._replace(checksum="SHA256:" + "a" * 64)
    source.keep(runs._replace(slug=slug))
    assert make_source().kept() == runs


@pytest.mark.usefixtures("shop")
def test_what_runs_beside_the_newest_release_is_not_kept(
    make_source: MakeSource,
) -> None:
    source = make_source()
    release = source.released()
    source.keep(release._replace(version=0))
    assert source.kept() is None


def test_what_runs_is_kept_though_newer_releases_were_fetched_and_failed(
    make_source: MakeSource, shop: App, tmp_path: Path
) -> None:
    source = make_source()
    runs = source.released()
    (running,) = {path.with_name("running.json.new") for path in kept_files(tmp_path).values()}
    running.mkdir()  # in the way, as a full disk would be
    with pytest.raises(SourceError, match="cannot save the release for the next start in"):
        source.keep(runs)
    for command in ("second", "third", "fourth"):
        shop.release(processes={"web": command})
        source.settled()
    running.rmdir()
    scaled = runs._replace(processes=(runs.processes[0]._replace(quantity=5), *runs.processes[1:]))
    source.keep(scaled)
    assert make_source().kept() == scaled
    assert os.path.exists(runs.slug.location)


def test_what_runs_is_kept_though_a_newer_release_was_fetched_before(
    make_source: MakeSource, shop: App
) -> None:
    source = make_source()
    runs = source.released()
    shop.release(processes={"web": "second"})
    source.settled()
    source.keep(runs)
    assert make_source().kept() == runs


def test_the_archives_are_those_of_what_runs_and_of_the_two_newest(
    make_source: MakeSource, shop: App, tmp_path: Path
) -> None:
    """Another hsup on the same directory may be unpacking the last but one."""
    source = make_source()
    releases = [source.released()]
    source.keep(releases[0])
    for command in ("second", "third", "fourth"):
        shop.release(processes={"web": command})
        releases.append(source.settled())
    archives = {str(path) for path in tmp_path.glob("state/*/shop/slugs/*")}
    assert archives == {one.slug.location for one in (releases[0], *releases[2:])}


@pytest.mark.parametrize("end", [b"", b"\xff"])
def test_a_broken_kept_release_is_passed_over(
    api: PlatformApi,
    make_source: MakeSource,
    shop: App,
    tmp_path: Path,
    *,
    caplog: pytest.LogCaptureFixture,
    end: bytes,
) -> None:
    source = make_source()
    first = source.released()
    source.keep(first)
    shop.release(config={"NAME": "second"})
    source.settled()
    running = kept_files(tmp_path)["running.json"]
    before, value, after = running.read_bytes().partition(b"value")
    running.write_bytes(before + value + end + (end and after))
    assert make_source().fetch().release.version == 2
    api.stop()
    assert make_source().fetch().release.version == 2
    assert "running.json, ignoring it" in caplog.text
    assert first.config["NAME"] not in caplog.text


@pytest.mark.usefixtures("shop")
def test_a_kept_release_that_is_nested_too_deep_is_passed_over(
    make_source: MakeSource, tmp_path: Path
) -> None:
    make_source().fetch()
    kept_files(tmp_path)["newest.json"].write_text('{"x": ' + "[" * 200_000)
    assert make_source().fetch().release.version == 1


@pytest.mark.usefixtures("shop")
def test_a_kept_release_without_its_slug_is_none(api: PlatformApi, make_source: MakeSource) -> None:
    os.unlink(make_source().fetch().release.slug.location)
    api.stop()
    with pytest.raises(ApiError, match="cannot reach"):
        make_source().fetch()


@pytest.mark.usefixtures("shop")
def test_what_a_crash_left_half_written_is_replaced(
    make_source: MakeSource, tmp_path: Path
) -> None:
    make_source().fetch()
    newest = kept_files(tmp_path)["newest.json"]
    (newest.parent / "newest.json.new").write_bytes(b"x" * 1_000_000)
    (newest.parent / "slugs" / "x.tgz.part").mkdir()
    newest.unlink()
    release = make_source().fetch().release
    assert [path.name for path in newest.parent.glob("*.new")] == []
    assert [str(path) for path in newest.parent.glob("slugs/*")] == [release.slug.location]


@pytest.mark.usefixtures("shop")
def test_a_directory_that_cannot_be_written_is_told(
    make_source: MakeSource, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HsupError, match="HSUP_HEROKU_DIR"):
        make_source(HSUP_HEROKU_DIR=str(tmp_path / "file")).fetch()
