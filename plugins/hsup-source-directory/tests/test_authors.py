"""Who may write a release, with which rights, and that no trick gives more of them."""

from __future__ import annotations

import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsup.errors import SourceError
from hsup.model import Author, Release
from hsup_source_directory import control_file
from hsup_source_directory import source as source_module
from hsup_source_directory.source import DirectorySource

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of several users")

OWNER, STRANGER, GROUP = 61001, 61002, 12345


@pytest.fixture
def shared(directory: Path) -> Path:
    """Return a directory of OWNER that all users may write to."""
    os.chown(directory, OWNER, OWNER)
    directory.chmod(0o777)
    return directory


def write_as(uid: int, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.chown(path, uid, uid)


def as_user(uid: int, directory: Path, work: Callable[[], Any]) -> Any:
    """Call a function in a process of a user, in the directory; return its result."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(directory)  # which root alone can find
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(writer, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as answer:
        return pickle.loads(answer.read())


@pytest.mark.parametrize("uid", [0, OWNER])
def test_a_release_has_the_one_who_wrote_it_as_its_author_also_after_a_restart(
    shared: Path, version: Callable[..., bytes], uid: int
) -> None:
    write_as(uid, shared / "new", version(1))
    (shared / "new").chmod(0o666 if uid == OWNER else 0o644)
    assert DirectorySource(shared).fetch().release.author == Author(uid, uid)
    assert DirectorySource(shared).fetch().release.author == Author(uid, uid)
    assert stat.S_IMODE((shared / "loaded").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["new", "loaded"])
@pytest.mark.parametrize("rights", [(0, 0o2775), (0, 0o757), (OWNER, 0o755)])
@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_what_others_may_write_to_is_no_release_of_root(
    directory: Path, version: Callable[..., bytes], name: str, rights: tuple[int, int], mode: int
) -> None:
    os.chown(directory, rights[0], GROUP)
    directory.chmod(rights[1])
    (directory / name).write_bytes(version(1))
    os.chown(directory / name, 0, GROUP)
    (directory / name).chmod(mode)
    refused = f"as other users can write to this directory; its mode is 0{mode:o}"
    if name == "new":
        assert refused in str(DirectorySource(directory).fetch().rejected)
    else:
        with pytest.raises(SourceError, match=refused):
            DirectorySource(directory).fetch()


def test_where_root_alone_may_write_to_the_directory_a_group_may_write_to_new(
    directory: Path, version: Callable[..., bytes]
) -> None:
    directory.chmod(0o755)
    (directory / "new").write_bytes(version(1))
    (directory / "new").chmod(0o664)
    assert DirectorySource(directory).fetch().release.author == Author(0, 0)


@pytest.mark.parametrize("group", [OWNER, GROUP])
def test_without_root_new_may_be_writable_for_the_own_group_of_hsups_user(
    directory: Path, version: Callable[..., bytes], group: int
) -> None:
    """Directory and file have the modes that a umask of 002 gives."""
    os.chown(directory, OWNER, group)
    directory.chmod(0o775)
    write_as(OWNER, directory / "new", version(1))
    os.chown(directory / "new", OWNER, group)
    (directory / "new").chmod(0o664)

    def is_accepted() -> bool:
        return DirectorySource(Path()).fetch().release is not None

    assert as_user(OWNER, directory, is_accepted) == (group == OWNER)


def test_a_new_of_somebody_else_is_refused(shared: Path, version: Callable[..., bytes]) -> None:
    write_as(OWNER, shared / "loaded", version(1))
    write_as(STRANGER, shared / "new", version(2))
    fetched = DirectorySource(shared).fetch()
    assert str(fetched.rejected) == (
        'cannot read control file "new": must belong to the owner of the directory, '
        "hsup's user or root, got the user 61002"
    )
    assert fetched.release.version == 1


def test_a_loaded_of_somebody_else_is_refused(shared: Path, version: Callable[..., bytes]) -> None:
    write_as(STRANGER, shared / "loaded", version(2))
    with pytest.raises(SourceError, match="got the user 61002"):
        DirectorySource(shared).fetch()


def test_a_hard_link_to_a_file_of_another_author_is_refused(
    shared: Path, tmp_path: Path, version: Callable[..., bytes]
) -> None:
    secret = tmp_path / "another-application"
    secret.write_bytes(version(1, Env={"PASSWORD": "secret"}))
    (shared / "new").hardlink_to(secret)
    fetched = DirectorySource(shared).fetch()
    assert "must have only one hard link, has 2" in str(fetched.rejected)
    assert stat.S_IMODE(secret.stat().st_mode) != 0o600  # it is none of hsup's
    rejected = (shared / "rejected").stat()
    assert (stat.S_IMODE(rejected.st_mode), rejected.st_uid) == (0o600, secret.stat().st_uid)
    assert not os.path.samefile(shared / "rejected", secret)
    assert not (shared / ".new.taken").exists()


@pytest.mark.parametrize("name", ["new", "loaded"])
def test_a_symbolic_link_in_a_directory_of_others_is_not_followed(
    shared: Path, tmp_path: Path, version: Callable[..., bytes], name: str
) -> None:
    secret = tmp_path / "another-application"
    secret.write_bytes(version(1, Env={"PASSWORD": "secret"}))
    (shared / name).symlink_to(secret)
    source = DirectorySource(shared)
    if name == "new":
        assert "must be a file, got a symbolic link" in str(source.fetch().rejected)
    else:
        with pytest.raises(SourceError, match="got a symbolic link"):
            source.fetch()


def test_who_turns_the_directory_while_new_is_read_has_nothing_written_elsewhere(
    shared: Path, tmp_path: Path, version: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(0o700)
    path = tmp_path / "link"
    path.symlink_to(shared)
    write_as(OWNER, shared / "new", version(2))
    real = control_file.parse

    def turn(*given: Any, **options: Any) -> control_file.Parsed:
        if path.readlink() == shared:
            (tmp_path / "turned").symlink_to(victim)
            (tmp_path / "turned").rename(path)
        return real(*given, **options)

    monkeypatch.setattr(source_module, "parse", turn)
    DirectorySource(path).fetch()
    assert list(victim.iterdir()) == []
    assert [one.name for one in shared.iterdir()] == ["loaded"]


def turn(link: Path, directory: Path) -> None:
    """Redirect a link to another directory."""
    turned = link.with_name("turned")
    turned.symlink_to(directory)
    turned.rename(link)


def release_of(source: DirectorySource) -> Release:
    release = source.fetch().release
    assert release
    return release


@pytest.fixture
def link(shared: Path, tmp_path: Path) -> Path:
    """Return a link to the shared directory, which its owner may redirect."""
    path = tmp_path / "link"
    path.symlink_to(shared)
    return path


def test_who_turns_the_directory_before_a_release_runs_has_nothing_kept_elsewhere(
    shared: Path, link: Path, tmp_path: Path, version: Callable[..., bytes]
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(0o700)
    write_as(OWNER, shared / "new", version(1))
    source = DirectorySource(link)
    release = release_of(source)
    turn(link, victim)
    with pytest.raises(SourceError, match="has been replaced by another directory since v"):
        source.keep(release)
    assert list(victim.iterdir()) == []
    turn(link, shared)
    source.keep(release)
    assert (shared / ".running").exists()


def test_an_older_release_is_not_kept_where_a_newer_one_came_from(
    shared: Path, link: Path, tmp_path: Path, version: Callable[..., bytes]
) -> None:
    other = tmp_path / "other"
    other.mkdir(0o700)
    (other / "loaded").write_bytes(version(2))
    write_as(OWNER, shared / "new", version(1))
    source = DirectorySource(link)
    older = release_of(source)
    turn(link, other)
    newer = release_of(source)
    assert newer.version == 2
    with pytest.raises(SourceError, match="has been replaced by another directory since v"):
        source.keep(older)
    assert not (other / ".running").exists()
    source.keep(newer)
    assert DirectorySource(other).kept() == newer


def test_a_directory_of_somebody_else_called_new_is_told_once_and_left(
    shared: Path, version: Callable[..., bytes]
) -> None:
    write_as(OWNER, shared / "loaded", version(1))
    (shared / "new").mkdir()
    os.chown(shared / "new", STRANGER, STRANGER)
    source = DirectorySource(shared)
    assert "got the user 61002" in str(source.fetch().rejected)
    (shared / "new/mail").touch()
    assert source.fetch().rejected is None
    assert sorted(one.name for one in shared.iterdir()) == ["loaded", "new"]


def test_a_directory_called_new_is_left_where_the_path_has_been_turned_to(
    shared: Path, link: Path, tmp_path: Path, version: Callable[..., bytes]
) -> None:
    maildir = tmp_path / "Maildir"
    (maildir / "new").mkdir(parents=True)
    for path in (maildir, maildir / "new"):
        os.chown(path, STRANGER, STRANGER)
    write_as(OWNER, shared / "new", version(1))
    source = DirectorySource(link)
    source.fetch()
    turn(link, maildir)
    assert "must be a file, got a directory" in str(source.fetch().rejected)
    assert [one.name for one in maildir.iterdir()] == ["new"]


def test_without_root_what_hsup_wrote_in_the_directory_of_another_counts_as_theirs(
    shared: Path, version: Callable[..., bytes]
) -> None:
    write_as(OWNER, shared / "new", version(1))
    (shared / "new").chmod(0o644)

    def authors() -> list[object]:
        return [DirectorySource(Path()).fetch().release.author for _ in range(2)]

    assert as_user(STRANGER, shared, authors) == [Author(OWNER, OWNER)] * 2
    assert (shared / "loaded").stat().st_uid == STRANGER
