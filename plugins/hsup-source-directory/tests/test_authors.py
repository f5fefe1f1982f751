"""Who may write a release, what becomes of theirs, and that nobody gets more by a trick."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest

from hsup.model import Author
from hsup_source_directory import source as source_module
from hsup_source_directory.source import DirectorySource

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of several users")

OWNER, STRANGER = 61001, 61002


@pytest.fixture
def shared(folder):
    """Return a folder of OWNER that everybody may write to."""
    os.chown(folder, OWNER, OWNER)
    folder.chmod(0o777)
    return folder


def write_as(uid: int, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.chown(path, uid, uid)


def as_user(uid: int, folder: Path, work):
    """Return what a function returns in a process of that user, called in the folder."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)  # which root alone can find
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
    shared, version, uid
):
    write_as(uid, shared / "new", version(1))
    (shared / "new").chmod(0o666)
    assert DirectorySource(shared).fetch().release.author == Author(uid, uid)
    assert DirectorySource(shared).fetch().release.author == Author(uid, uid)
    assert stat.S_IMODE((shared / "loaded").stat().st_mode) == 0o600


def test_a_new_of_somebody_else_is_refused(shared, version):
    write_as(OWNER, shared / "loaded", version(1))
    write_as(STRANGER, shared / "new", version(2))
    fetched = DirectorySource(shared).fetch()
    assert str(fetched.rejected) == (
        "cannot read control file new: must belong to the owner of the folder, hsup's user "
        "or root, got the user 61002"
    )
    assert fetched.release.version == 1


def test_a_loaded_of_somebody_else_is_refused(shared, version):
    write_as(STRANGER, shared / "loaded", version(2))
    with pytest.raises(source_module.SourceError, match="got the user 61002"):
        DirectorySource(shared).fetch()


def test_a_hard_link_to_a_file_of_another_author_is_refused(shared, tmp_path, version):
    secret = tmp_path / "another-application"
    secret.write_bytes(version(1, Env={"PASSWORD": "secret"}))
    (shared / "new").hardlink_to(secret)
    fetched = DirectorySource(shared).fetch()
    assert "must have no other name, got a file with 2 hard links" in str(fetched.rejected)
    assert stat.S_IMODE(secret.stat().st_mode) != 0o600  # it is none of hsup's


@pytest.mark.parametrize("name", ["new", "loaded"])
def test_a_symbolic_link_in_a_folder_of_others_is_not_followed(shared, tmp_path, version, name):
    secret = tmp_path / "another-application"
    secret.write_bytes(version(1, Env={"PASSWORD": "secret"}))
    (shared / name).symlink_to(secret)
    source = DirectorySource(shared)
    if name == "new":
        assert "must be a file, got a symbolic link" in str(source.fetch().rejected)
    else:
        with pytest.raises(source_module.SourceError, match="got a symbolic link"):
            source.fetch()


def test_who_turns_the_folder_while_new_is_read_has_nothing_written_elsewhere(
    shared, tmp_path, version, monkeypatch
):
    victim = tmp_path / "victim"
    victim.mkdir(0o700)
    path = tmp_path / "link"
    path.symlink_to(shared)
    write_as(OWNER, shared / "new", version(2))
    real = source_module.parse

    def turn(*given, **options):
        if path.readlink() == shared:
            (tmp_path / "turned").symlink_to(victim)
            (tmp_path / "turned").rename(path)
        return real(*given, **options)

    monkeypatch.setattr(source_module, "parse", turn)
    DirectorySource(path).fetch()
    assert list(victim.iterdir()) == []
    assert [one.name for one in shared.iterdir()] == ["loaded"]


def test_without_root_what_hsup_wrote_in_the_folder_of_another_counts_as_theirs(shared, version):
    write_as(OWNER, shared / "new", version(1))
    (shared / "new").chmod(0o644)

    def authors():
        return [DirectorySource(Path()).fetch().release.author for _ in range(2)]

    assert as_user(STRANGER, shared, authors) == [Author(OWNER, OWNER)] * 2
    assert (shared / "loaded").stat().st_uid == STRANGER
