"""The release that runs is kept for the next start, outside of its directory."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import SourceError
from hsup.model import Release
from hsup_source_procfile.source import ProcfileSource


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    directory = tmp_path / "app"
    directory.mkdir()
    (directory / "Procfile").write_text("web: ./web\nrelease: rake db:migrate\n")
    (directory / ".env").write_text("A=é\n")
    (directory / "app.json").write_text('{"formation": {"web": {"quantity": 2, "size": "eco"}}}')
    return Settings(
        directory=str(directory), environ={"HSUP_PROCFILE_DIR": str(tmp_path / "state")}
    )


def release_of(source: ProcfileSource) -> Release:
    release = source.fetch().release
    assert release
    return release


def kept_files(settings: Settings) -> list[str]:
    directory = settings.environ["HSUP_PROCFILE_DIR"]
    return [os.path.join(directory, name) for name in os.listdir(directory)]


def test_what_was_kept_is_the_same_release_after_a_restart(settings: Settings) -> None:
    source = ProcfileSource(settings)
    release = release_of(source)
    source.keep(release)
    again = ProcfileSource(settings)
    assert again.kept() == again.fetch().release == release


def test_a_directory_that_was_made_again_is_the_one_that_is_run(
    settings: Settings, tmp_path: Path
) -> None:
    source = ProcfileSource(settings)
    source.keep(release_of(source))
    os.rename(settings.directory, tmp_path / "before")
    os.mkdir(settings.directory)
    assert ProcfileSource(settings).kept().slug.inode == os.stat(settings.directory).st_ino


def test_it_is_for_the_user_alone_and_nothing_is_in_the_directory(settings: Settings) -> None:
    before = sorted(os.listdir(settings.directory))
    source = ProcfileSource(settings)
    source.keep(release_of(source))
    (path,) = kept_files(settings)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    assert sorted(os.listdir(settings.directory)) == before


def test_each_directory_has_its_own(settings: Settings, tmp_path: Path) -> None:
    source = ProcfileSource(settings)
    source.keep(release_of(source))
    assert ProcfileSource(settings._replace(directory=str(tmp_path / "other"))).kept() is None


def test_no_more_is_kept_than_of_a_hundred_directories_and_nothing_of_others_is_touched(
    settings: Settings, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "mine.json").write_text("{}")
    for number in range(120):
        (state / f"%2Fsrv%2F{number}.json").write_text("{}")
        os.utime(state / f"%2Fsrv%2F{number}.json", (number, number))
    (state / "%2Fsrv%2F0.json.crashed.new").write_text("{")
    os.utime(state / "%2Fsrv%2F0.json.crashed.new", (0, 0))
    source = ProcfileSource(settings)
    source.keep(release_of(source))
    left = set(os.listdir(state)) - {"mine.json"}
    assert len(left) == 100
    assert {"%2Fsrv%2F119.json", "%2Fsrv%2F21.json"} <= left
    assert "%2Fsrv%2F20.json" not in left
    assert (state / "mine.json").exists()
    assert source.kept() is not None


def test_another_hsup_in_the_directory_keeps_its_release_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one runs after this one has written its file, and before it renames it."""
    source, other = ProcfileSource(settings), ProcfileSource(settings)
    release = release_of(source)
    fsync = os.fsync

    def meet(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        other.keep(release._replace(version=7))
        assert other.kept().version == 7
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", meet)
    source.keep(release)
    assert source.kept() == release
    assert len(kept_files(settings)) == 1


def test_nothing_is_left_of_what_cannot_be_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = ProcfileSource(settings)
    release = release_of(source)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SourceError, match="No space left on device"):
        source.keep(release)
    assert kept_files(settings) == []


BROKEN = ("", "{", "[]", "{}", '{"processes": [1]}', "\0", "é", "[" * 200_000)
GOOD = {"app": "x", "version": 1, "config": {}, "processes": [["web", [["./web"]], 1, None]]}
ODD = (
    {"app": 5},
    {"version": "1"},
    {"version": True},
    {"config": 5},
    {"config": ["A"]},
    {"config": {"A": 5}},
    {"config": {"A": "\0"}},
    {"config": {"A=B": "c"}},
    {"processes": [["web", ["words"], 1, None]]},
    {"processes": [["web", [[5]], 1, None]]},
    {"processes": [[5, [["./web"]], 1, None]]},
    {"processes": [["a/b", [["./web"]], 1, None]]},
    {"processes": [["web", [["./web"]], -1, None]]},
    {"processes": [["web", [["./web"]], 1.5, None]]},
    {"processes": [["web", [["./web"]], 1, 5]]},
)


def replace_kept(settings: Settings, content: str) -> Release | None:
    source = ProcfileSource(settings)
    source.keep(release_of(source))
    (path,) = kept_files(settings)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    return source.kept()


@pytest.mark.parametrize("content", [*BROKEN, *(json.dumps({**GOOD, **odd}) for odd in ODD)])
def test_what_is_broken_is_removed(
    settings: Settings, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert replace_kept(settings, content) is None
    assert kept_files(settings) == []
    assert caplog.messages[0].startswith("removed ")
    assert caplog.messages[0].endswith(".json, which is damaged")


def test_what_is_broken_and_cannot_be_removed_is_ignored(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "unlink", refuse)
    assert replace_kept(settings, "{") is None
    assert caplog.messages[0].startswith("cannot remove ")
    assert caplog.messages[0].endswith(".json, which is damaged: Permission denied")


def test_what_a_broken_one_is_made_of_is_good(settings: Settings) -> None:
    assert replace_kept(settings, json.dumps(GOOD)).processes[0].command.words == ("./web",)


def test_a_directory_that_cannot_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    source = ProcfileSource(settings)
    with pytest.raises(SourceError, match="set HSUP_PROCFILE_DIR to a writable directory"):
        source.keep(release_of(source))


def test_what_cannot_be_read_now_stays_kept(settings: Settings) -> None:
    """If too many files are open, for example: the next start can read it."""
    source = ProcfileSource(settings)
    release = release_of(source)
    source.keep(release)
    (path,) = kept_files(settings)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(SourceError, match="cannot read the release saved"):
            source.kept()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert kept_files(settings) == [path]
    assert source.kept() == release
