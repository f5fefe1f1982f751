from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsup.durable import rename_durably, sync, write_durably

STEPS = ("fchown", "write", "fsync", "rename")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that records the system calls from now on."""
    made = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            made.append(name)
            return real(*given, **named)

        return call

    for name in STEPS:
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    return made


def test_a_file_is_written_for_its_owner_alone_and_replaced(path: Path) -> None:
    for content in (b"first", b""):
        write_durably(str(path), content)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert os.listdir(path.parent) == ["file"]


def test_a_file_has_the_mode_that_is_asked_for(path: Path) -> None:
    write_durably(str(path), b"", mode=0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_content_is_on_the_disk_before_it_has_its_name_and_the_name_at_the_end(
    path: Path, steps: list[str]
) -> None:
    write_durably(str(path), b"content", owner=(os.geteuid(), os.getegid()))
    assert steps == ["fchown", "write", "fsync", "rename", "fsync"]


def test_what_is_given_its_name_alone_is_on_the_disk_at_the_end(
    path: Path, steps: list[str]
) -> None:
    path.with_name("work").write_bytes(b"content")
    rename_durably(str(path.with_name("work")), str(path))
    assert path.read_bytes() == b"content"
    assert steps == ["rename", "fsync"]


def test_a_name_without_a_directory_is_in_the_current_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    write_durably("file", b"content")
    os.rename("file", "work")
    rename_durably("work", "file")
    assert path.read_bytes() == b"content"


def test_names_are_in_an_open_directory_wherever_that_is_by_now(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    directory = os.open(tmp_path / "before", os.O_RDONLY)
    os.rename(tmp_path / "before", tmp_path / "after")
    write_durably("file", b"content", work=".file.tmp", directory=directory)
    os.close(directory)
    assert (tmp_path / "after/file").read_bytes() == b"content"
    assert os.listdir(tmp_path / "after") == ["file"]


@pytest.mark.parametrize("leftover", ["file", "link"])
def test_what_a_crash_left_is_replaced_and_no_link_is_followed(path: Path, leftover: str) -> None:
    work, other = path.with_name("work"), path.with_name("other")
    other.write_bytes(b"of somebody else")
    work.write_bytes(b"half") if leftover == "file" else work.symlink_to(other)
    write_durably(str(path), b"content", work=str(work))
    assert path.read_bytes() == b"content"
    assert not path.is_symlink()
    assert other.read_bytes() == b"of somebody else"
    assert sorted(os.listdir(path.parent)) == ["file", "other"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_where_it_fails_the_old_file_is_there_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path.write_bytes(b"old")

    def fail(*_given: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_durably(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


def test_a_file_that_is_written_in_pieces_is_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    write_durably(str(path), b"ten bytes.")
    assert path.read_bytes() == b"ten bytes."


def test_any_number_may_write_at_the_same_time(path: Path) -> None:
    contents = [bytes([letter]) * 100_000 for letter in b"abcdefgh"]
    writers = [threading.Thread(target=write_durably, args=(str(path), one)) for one in contents]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert path.read_bytes() in contents
    assert os.listdir(path.parent) == ["file"]


def test_a_file_system_without_directories_to_sync_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "fsync", refuse)
    sync(str(tmp_path))
    assert os.listdir("/proc/self/fd") == before
