from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from hsup_driver_libcontainer.child import kernel
from hsup_driver_libcontainer.child.mounts import FileSystems, _give_all, _require_same
from hsup_driver_libcontainer.child.owner import Owner
from hsup_driver_libcontainer.child.plan import BindMount
from hsup_driver_libcontainer.child.steps import (
    Choice,
    File,
    Hide,
    Link,
    Mount,
    MountPoint,
    OpenBind,
    Protect,
)

OWNER, DYNO = 61001, 61002
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def slug(tmp_path: Path) -> Path:
    """Return a directory with files of OWNER, and one of root."""
    directory = tmp_path / "slug"
    (directory / "lib").mkdir(parents=True)
    for name in ("bin", "lib/one", "lib/two", "others"):
        (directory / name).write_text("")
    for name in ("lib", "bin", "lib/one", "lib/two"):
        os.chown(directory / name, OWNER, OWNER)
    return directory


def meet(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Do something when a file is first looked at, right before its owner is changed."""
    real = {name: getattr(os, name) for name in ("chown", "lchown")}

    def changed(path: str, *given: int, **options: Any) -> None:
        for name, function in real.items():
            monkeypatch.setattr(os, name, function)
        work()
        os.chown(path, *given, **{**options, "follow_symlinks": False})

    for name in real:
        monkeypatch.setattr(os, name, changed)


@needs_root
def test_what_belongs_to_the_owner_is_given_and_nothing_else(slug: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    os.chown(outside, OWNER, OWNER)
    (slug / "lib/link").symlink_to(outside)
    os.lchown(slug / "lib/link", OWNER, OWNER)
    _give_all(str(slug), OWNER, DYNO)
    given = ("lib", "bin", "lib/one", "lib/two", "lib/link")
    assert {(slug / name).lstat().st_uid for name in given} == {DYNO}
    assert {path.stat().st_uid for path in (slug / "others", outside)} == {0, OWNER}


@needs_root
def test_files_that_vanish_while_all_are_given_are_passed_over(
    slug: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove() -> None:
        for name in ("lib/one", "bin"):
            (slug / name).unlink()

    meet(monkeypatch, remove)
    _give_all(str(slug), OWNER, DYNO)
    assert {(slug / name).stat().st_uid for name in ("lib", "lib/two")} == {DYNO}


@needs_root
def test_nothing_outside_is_given_where_a_directory_becomes_a_link(
    slug: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("one", "two"):
        (other / name).write_text("")
        os.chown(other / name, OWNER, OWNER)
    os.chown(slug / "bin", 0, 0)  # so that the first that is given is in lib
    os.chown(slug / "lib", 0, 0)

    def turn() -> None:
        (slug / "lib").rename(tmp_path / "before")
        (slug / "lib").symlink_to(other)

    meet(monkeypatch, turn)
    _give_all(str(slug), OWNER, DYNO)
    assert {path.stat().st_uid for path in other.iterdir()} == {OWNER}


class UnneededOwner:
    """Counts how often it was ended."""

    def __init__(self) -> None:
        self.ends = 0

    def end(self) -> None:
        self.ends += 1


@pytest.fixture
def owner() -> UnneededOwner:
    return UnneededOwner()


@pytest.fixture
def make(owner: UnneededOwner) -> Callable[..., Any]:
    """Return a function that carries out steps."""
    return lambda *steps: FileSystems(cast(Owner, owner)).make(steps)


def writing(path: Path, content: str) -> File:
    return File(f"write {path.name}", str(path), content)


def failing(does: str = "fail") -> Mount:
    """Return a step that always fails with ENOENT, and changes nothing."""
    return Mount(does, "none", "/no/such/directory", "tmpfs")


def test_steps_are_taken_in_their_order(make: Callable[..., Any], tmp_path: Path) -> None:
    make(
        MountPoint("make it", str(tmp_path / "one/two")),
        MountPoint("make a file", str(tmp_path / "one/file"), is_directory=False),
        writing(tmp_path / "new/content", "first"),
        writing(tmp_path / "new/content", "last"),
        Link("link", str(tmp_path / "link"), "new/content"),
    )
    assert (tmp_path / "one/two").is_dir()
    assert (tmp_path / "one/file").read_text() == ""
    assert (tmp_path / "link").read_text() == "last"


def test_a_step_that_fails_is_told_in_words_with_its_cause(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="cannot") as failed:
        make(failing("mount the slug at /app"), writing(tmp_path / "later", ""))
    assert failed.value.filename == "cannot mount the slug at /app"
    assert failed.value.strerror == "No such file or directory"
    assert failed.value.errno == errno.ENOENT
    assert not (tmp_path / "later").exists()


def test_what_is_refused_is_done_another_way(make: Callable[..., Any], tmp_path: Path) -> None:
    first, instead, after = (tmp_path / name for name in ("first", "instead", "after"))
    make(
        Choice((writing(first, ""), failing()), (errno.ENOENT,), (writing(instead, ""),)),
        writing(after, ""),
    )
    assert all(one.exists() for one in (first, instead, after))


def test_what_is_not_refused_is_done_one_way_only(make: Callable[..., Any], tmp_path: Path) -> None:
    first, instead = tmp_path / "first", tmp_path / "instead"
    make(Choice((writing(first, ""),), (errno.ENOENT,), (writing(instead, ""),)))
    assert [one.exists() for one in (first, instead)] == [True, False]


def test_another_failure_than_a_refusal_is_one(make: Callable[..., Any], tmp_path: Path) -> None:
    instead = tmp_path / "instead"
    with pytest.raises(FileNotFoundError, match="cannot mount it"):
        make(Choice((failing("mount it"),), (errno.EINVAL,), (writing(instead, ""),)))
    assert not instead.exists()


def test_the_other_way_may_fail_too_and_is_told_then(make: Callable[..., Any]) -> None:
    with pytest.raises(FileNotFoundError, match="cannot do the other"):
        make(Choice((failing("do the one"),), (errno.ENOENT,), (failing("do the other"),)))


def test_nobody_owns_the_slug_any_more_when_all_is_made(
    make: Callable[..., Any], owner: UnneededOwner
) -> None:
    make()
    assert owner.ends == 1


def test_a_place_that_is_there_stays_as_it_is(make: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "file").chmod(0o600)
    make(
        MountPoint("make it", str(tmp_path / "file"), is_directory=False, owner=os.geteuid()),
        MountPoint("make it", str(tmp_path), is_directory=True),
    )
    assert (tmp_path / "file").read_text() == "content"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_what_is_not_there_is_neither_hidden_nor_protected(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    path = str(tmp_path / "none")
    make(Hide("hide it", path, "/dev/null", 0), Protect("make it read-only", path, 0))
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_gone_is_named_when_it_is_opened(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    path = str(tmp_path / "gone")
    bind = BindMount(path, "/mnt", read_only=True)
    with pytest.raises(OSError, match="cannot open it"):
        make(OpenBind("open it", bind, kernel.OPEN_TREE_CLOEXEC, attributes=0))


def test_a_directory_that_something_else_took_the_place_of_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="has just replaced it"):
        _require_same(str(tmp_path), os.stat(tmp_path.parent))
    _require_same(str(tmp_path), os.stat(tmp_path))
