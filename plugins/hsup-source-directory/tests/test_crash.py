"""A crash between any two steps loses neither the old nor the new release."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.model import Author, Release
from hsup_source_directory.control_file import parse
from hsup_source_directory.source import DirectorySource

STEPS = ("open", "write", "fsync", "rename", "unlink", "link")
FAULTY = b'{"Version": "two"}'


def wrap_steps(around: Callable[[str, Callable[[], object]], object]) -> None:
    """Wrap every system call that may change the directory with `around`."""

    def wrapped(name: str, real: Callable[..., object]) -> Callable[..., object]:
        return lambda *args, **options: around(
            " ".join([name, *(str(one) for one in args[:2])]), lambda: real(*args, **options)
        )

    for name in STEPS:
        setattr(os, name, wrapped(name, getattr(os, name)))


def fetch_and_die(directory: Path, step: int, *, is_done: bool) -> bool:
    """Fetch in a child that is killed before or after a step; tell whether it reached it."""
    child = os.fork()
    if child == 0:
        count = 0

        def die_at_step(_name: str, call: Callable[[], object]) -> object:
            nonlocal count
            count += 1
            if count == step and not is_done:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call()
            finally:
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        wrap_steps(die_at_step)
        code = 1
        try:
            DirectorySource(directory).fetch()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}
    return status != 0


def parsed(content: bytes, directory: Path) -> Release | None:
    own = Author(os.geteuid(), os.getegid())
    return parse(content, app=None, default_app=directory.name, author=own).release


def content_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def crashed_directories(tmp_path: Path, new: bytes, old: bytes, *leftovers: str) -> list[Path]:
    """Return a directory for every point at which a child can be killed."""
    directories: list[Path] = []
    for step in range(1, 100):
        for is_done in (False, True):
            directory = tmp_path / f"{step}{'after' if is_done else 'before'}"
            directory.mkdir()
            (directory / "loaded").write_bytes(old)
            (directory / "new").write_bytes(new)
            for name in leftovers:
                (directory / name).write_bytes(b"before")
            if not fetch_and_die(directory, step, is_done=is_done):
                return directories
            directories.append(directory)
    raise AssertionError("the child never came to its end")


@pytest.mark.parametrize("leftovers", [(), ("rejected", "last_error")])
def test_a_crash_while_accepting_loses_nothing(
    tmp_path: Path, version: Callable[..., bytes], leftovers: tuple[str, str]
) -> None:
    old, new = version(1), version(2)
    directories = crashed_directories(tmp_path, new, old, *leftovers)
    assert len(directories) > 20
    for directory in directories:
        assert content_of(directory / "loaded") in (old, new)
        assert new in [content_of(directory / name) for name in ("new", ".new.taken", "loaded")]

        release = DirectorySource(directory).fetch().release

        assert release == parsed(new, directory)
        assert [path.name for path in directory.iterdir()] == ["loaded"]


def test_a_crash_while_rejecting_loses_nothing(
    tmp_path: Path, version: Callable[..., bytes]
) -> None:
    old = version(1)
    directories = crashed_directories(tmp_path, FAULTY, old)
    assert len(directories) > 20
    for directory in directories:
        assert content_of(directory / "loaded") == old
        assert FAULTY in [
            content_of(directory / name) for name in ("new", ".new.taken", "rejected")
        ]
        assert not (directory / "rejected").exists() or (directory / "last_error").exists()

        release = DirectorySource(directory).fetch().release

        assert release == parsed(old, directory)
        assert sorted(path.name for path in directory.iterdir()) == [
            "last_error",
            "loaded",
            "rejected",
        ]
        assert b'got "two"' in (directory / "last_error").read_bytes()


def test_every_step_is_on_the_disk_before_the_next_begins(
    directory: Path, version: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in STEPS:
        monkeypatch.setattr(os, name, getattr(os, name))
    steps: list[str] = []

    def note(step: str, call: Callable[[], object]) -> object:
        try:
            return call()
        finally:
            steps.append(step.replace(f"{directory}/", ""))

    (directory / "new").write_bytes(version(1))
    wrap_steps(note)
    DirectorySource(directory).fetch()

    shown = {"rename", "unlink", "link"}
    changing = [step.split(" ") for step in steps if not step.startswith("open")]
    names = [" ".join(words) if words[0] in shown else words[0] for words in changing]
    assert names == [
        "write",
        "fsync",
        "rename .loaded.tmp loaded",
        "fsync",
        "unlink rejected",
        "unlink last_error",
        "rename new .new.taken",
        "unlink .new.taken",
        "fsync",
    ]
