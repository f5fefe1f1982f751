"""Releases put into a control directory are accepted or rejected, and none is lost."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import resource
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsup.api import Fetched
from hsup.errors import SourceError
from hsup_source_directory.source import DirectorySource
from hsup_source_directory.store import ControlDirectory, opened_directory
from hsup_source_directory.submission import Submission, hold

FAULTY = b'{"Version": "two"}'
FAULT = 'line 1: "Version" must be a whole number, 0 or more, got "two"'


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def version_of(fetched: Fetched) -> int | None:
    return fetched.release.version if fetched.release else None


def never_sleep(seconds: float) -> None:
    raise AssertionError(f"slept for {seconds} s")


@pytest.fixture
def source(folder: Path) -> DirectorySource:
    return DirectorySource(folder, sleep=never_sleep)


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the kernel refuse leases, as it does for another user's file."""
    real = fcntl.fcntl

    def refuse(descriptor, command, argument=0):
        if command == fcntl.F_SETLEASE:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)


@contextmanager
def refused(path: Path, error: int) -> Iterator[None]:
    """Make opening a path, or a name in a directory, fail, which root would not see otherwise."""
    real = os.open

    def refuse(given, *args, **options):
        if given == path or (given == path.name and options.get("dir_fd") is not None):
            raise OSError(error, os.strerror(error))
        return real(given, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refuse)
        yield


@contextmanager
def held(folder: Path) -> Iterator[tuple[ControlDirectory, Submission]]:
    with opened_directory(folder) as directory, hold(directory.folder, "new") as submission:
        yield directory, submission


def test_an_empty_control_directory_has_no_release_yet(source, folder):
    assert source.fetch() == Fetched(release=None, remedy=f"write a release to {folder / 'new'}")


def test_a_good_new_becomes_loaded(source, folder, version):
    (folder / "new").write_bytes(version(1))
    assert version_of(source.fetch()) == 1
    assert files(folder) == {"loaded": version(1)}


def test_a_cold_start_reads_loaded(source, folder, version):
    (folder / "loaded").write_bytes(version(3))
    assert version_of(source.fetch()) == 3


def test_the_same_answer_is_given_until_there_is_a_new_one(source, folder, version):
    (folder / "new").write_bytes(version(1))
    assert source.fetch() == source.fetch() == source.fetch()


def test_the_app_is_named_by_the_folder_at_last(folder, version):
    (folder / "loaded").write_bytes(version(1))
    assert str(DirectorySource(folder).fetch().release) == "v1 of control"
    assert str(DirectorySource(folder, app="shop").fetch().release) == "v1 of shop"


@pytest.mark.parametrize(("content", "kept"), [(b"{}", "loaded"), (FAULTY, "rejected")])
def test_what_is_kept_of_new_is_private_whatever_new_was(source, folder, content, kept):
    (folder / "new").write_bytes(content)
    (folder / "new").chmod(0o666)
    source.fetch()
    assert stat.S_IMODE((folder / kept).stat().st_mode) == 0o600


def test_a_faulty_new_is_rejected_and_the_old_release_goes_on(source, folder, version):
    (folder / "loaded").write_bytes(version(1))
    (folder / "new").write_bytes(FAULTY)

    fetched = source.fetch()

    assert version_of(fetched) == 1
    assert str(fetched.rejected) == f'cannot read control file "new": {FAULT}'
    assert files(folder) == {
        "loaded": version(1),
        "rejected": FAULTY,
        "last_error": f'cannot read control file "new": {FAULT}\n'.encode(),
    }


def test_a_rejection_is_told_once(source, folder):
    (folder / "new").write_bytes(FAULTY)
    assert source.fetch().rejected is not None
    assert source.fetch() == Fetched(release=None, remedy=f"write a release to {folder / 'new'}")


def test_what_was_rejected_is_rejected_again_when_it_is_put_back(source, folder):
    (folder / "new").write_bytes(FAULTY)
    assert source.fetch().rejected is not None
    (folder / "rejected").rename(folder / "new")
    assert source.fetch().rejected is not None


def test_last_error_has_a_line_for_every_fault(source, folder):
    (folder / "new").write_bytes(b'{"Version": "two",\n"Name": 5}')
    source.fetch()
    assert (folder / "last_error").read_text() == (
        f'cannot read control file "new": {FAULT}\n'
        'cannot read control file "new": line 2: "Name" must be a string, got 5\n'
    )


def test_a_later_good_one_clears_the_rejection(source, folder, version):
    (folder / "new").write_bytes(FAULTY)
    source.fetch()
    (folder / "new").write_bytes(version(2))
    assert version_of(source.fetch()) == 2
    assert files(folder) == {"loaded": version(2)}


def test_an_empty_new_is_rejected(source, folder):
    (folder / "new").touch()
    assert "the file is empty" in str(source.fetch().rejected)
    assert sorted(files(folder)) == ["last_error", "rejected"]


def test_a_hundred_megabytes_are_rejected_unread(source, folder):
    with (folder / "new").open("wb") as file:
        file.truncate(100 * 2**20)
    assert str(source.fetch().rejected) == (
        'cannot read control file "new": must be at most 1 MiB, got 100.0 MiB'
    )


def test_warnings_are_told_once(source, folder):
    (folder / "new").write_bytes(b'{"versoin": 1, "Processes": []}')
    text = (
        'control file "loaded": line 1: unknown key "versoin" is ignored, did you mean "Version"?'
    )
    assert source.fetch().warnings == (text,)
    assert source.fetch().warnings == ()


def test_a_faulty_loaded_is_an_error(source, folder):
    (folder / "loaded").write_bytes(FAULTY)
    with pytest.raises(SourceError) as caught:
        source.fetch()
    assert str(caught.value) == (
        f'cannot read control file "loaded": {FAULT}; write a valid one named "new" there, '
        'or remove "loaded"'
    )


def test_a_good_new_replaces_a_faulty_loaded(source, folder, version):
    (folder / "loaded").write_bytes(FAULTY)
    (folder / "new").write_bytes(version(2))
    assert version_of(source.fetch()) == 2


def test_another_hsup_that_accepts_new_is_followed(source, folder, version):
    (folder / "new").write_bytes(version(1))
    source.fetch()
    (folder / "new").write_bytes(version(2))
    assert version_of(DirectorySource(folder).fetch()) == 2
    assert version_of(source.fetch()) == 2


def test_many_hsups_on_one_folder_do_not_disturb_each_other(folder, version):
    answers: list[int | None] = []

    def follow() -> None:
        source = DirectorySource(folder)
        answer = None
        while answer != 50:
            try:
                answer = version_of(source.fetch())
            except SourceError as error:
                if "replaced faster than it can be read" not in str(error):
                    raise  # else the host asks again
            answers.append(answer)

    followers = [threading.Thread(target=follow) for _ in range(4)]
    for follower in followers:
        follower.start()
    for number in range(51):
        (folder / "draft").write_bytes(version(number))
        (folder / "draft").rename(folder / "new")
    for follower in followers:
        follower.join(60)
        assert not follower.is_alive()
    assert files(folder) == {"loaded": version(50)}


def test_a_folder_that_another_process_has_locked_is_an_error(folder, version):
    (folder / "new").write_bytes(version(1))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(SourceError, match="is locked by another process"):
            DirectorySource(folder, sleep=lambda _: None).fetch()
    finally:
        os.close(descriptor)


class TestBeingWritten:
    def test_a_new_that_is_open_for_writing_is_read_when_it_is_complete(
        self, source, folder, version
    ):
        (folder / "loaded").write_bytes(version(1))
        told = []
        with (folder / "new").open("wb", buffering=0) as writer:
            for part in (b"", b'{"Vers', b'ion": 2, "Processes": []'):
                writer.write(part)
                fetched = source.fetch()
                assert version_of(fetched) == 1
                assert fetched.rejected is None
                told += fetched.warnings
            writer.write(b"}")
            assert version_of(source.fetch()) == 2
            assert sorted(files(folder)) == ["loaded"]
        assert told == [
            'control file "new" is incomplete and open for writing; hsup waits until it is closed'
        ]

    def test_a_faulty_new_is_rejected_when_it_is_closed(self, source, folder):
        with (folder / "new").open("wb", buffering=0) as writer:
            writer.write(FAULTY)
            assert source.fetch().rejected is None
        assert source.fetch().rejected is not None

    @pytest.mark.usefixtures("no_leases")
    def test_without_leases_a_young_faulty_file_gets_time(self, folder, version):
        def finish_writing(seconds: float) -> None:
            assert 0 < seconds <= 2
            (folder / "new").write_bytes(version(2))

        (folder / "new").write_bytes(b'{"Vers')
        source = DirectorySource(folder, sleep=finish_writing)
        assert source.fetch().rejected is None
        assert version_of(source.fetch()) == 2

    @pytest.mark.usefixtures("no_leases")
    def test_without_leases_a_faulty_file_is_rejected_in_the_end(self, folder):
        (folder / "new").write_bytes(b'{"Vers')
        assert DirectorySource(folder, sleep=lambda _: None).fetch().rejected is not None

    @pytest.mark.usefixtures("no_leases")
    def test_without_leases_an_old_faulty_file_is_rejected_at_once(self, source, folder):
        (folder / "new").write_bytes(b'{"Vers')
        os.utime(folder / "new", (0, 0))
        assert source.fetch().rejected is not None

    def test_a_writer_that_comes_while_new_is_read_waits_and_is_noticed(self, folder, version):
        (folder / "new").write_bytes(version(1))
        writer = threading.Thread(target=(folder / "new").write_bytes, args=(version(2),))
        with held(folder) as (directory, submission):
            assert submission.is_at(directory.folder, "new")
            writer.start()
            while submission.is_at(directory.folder, "new"):
                assert writer.is_alive()
            assert (folder / "new").read_bytes() == version(1)
        writer.join()
        assert (folder / "new").read_bytes() == version(2)


class TestReplacedMeanwhile:
    def test_a_newer_new_is_not_removed_for_the_older_one(self, folder, version):
        (folder / "new").write_bytes(version(1))
        with held(folder) as (directory, submission):
            (folder / "draft").write_bytes(version(2))
            (folder / "draft").rename(folder / "new")
            assert not directory.accept(submission, version(1))
        assert files(folder) == {"loaded": version(1), "new": version(2)}

    def test_a_newer_new_is_not_rejected_for_the_older_one(self, folder, version):
        (folder / "new").write_bytes(FAULTY)
        with held(folder) as (directory, submission):
            (folder / "draft").write_bytes(version(2))
            (folder / "draft").rename(folder / "new")
            assert not directory.reject(submission, "text")
        assert (folder / "new").read_bytes() == version(2)
        assert version_of(DirectorySource(folder).fetch()) == 2
        assert files(folder) == {"loaded": version(2)}

    def test_a_new_that_its_author_takes_back_is_not_missed(self, folder, version):
        (folder / "new").write_bytes(version(1))
        with held(folder) as (directory, submission):
            (folder / "new").unlink()
            assert not directory.accept(submission, version(1))
        assert version_of(DirectorySource(folder).fetch()) == 1

    def test_what_was_taken_before_a_crash_is_put_back(self, source, folder, version):
        (folder / ".new.taken").write_bytes(version(2))
        (folder / ".loaded.tmp").write_bytes(b"{")
        (folder / ".last_error.tmp").write_bytes(b"")
        assert version_of(source.fetch()) == 2
        assert files(folder) == {"loaded": version(2)}

    def test_what_was_taken_before_a_crash_gives_way_to_a_newer_one(self, source, folder, version):
        (folder / ".new.taken").write_bytes(version(1))
        (folder / "new").write_bytes(version(2))
        assert version_of(source.fetch()) == 2
        assert files(folder) == {"loaded": version(2)}

    def test_where_there_are_no_hard_links_what_was_taken_is_renamed_back(
        self, source, folder, version, monkeypatch
    ):
        def refuse(*_args, **_options):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)
        (folder / ".new.taken").write_bytes(version(2))
        assert version_of(source.fetch()) == 2


class TestNotAFile:
    def test_a_folder_is_rejected_with_all_that_is_in_it(self, source, folder):
        (folder / "new").mkdir()
        (folder / "new" / "precious").write_bytes(b"data")
        fetched = source.fetch()
        assert str(fetched.rejected) == (
            'cannot read control file "new": must be a file, got a directory'
        )
        assert (folder / "rejected" / "precious").read_bytes() == b"data"

    def test_a_folder_that_was_rejected_outlives_a_good_release(self, source, folder, version):
        (folder / "new").mkdir()
        source.fetch()
        (folder / "new").write_bytes(version(2))
        assert version_of(source.fetch()) == 2
        assert sorted(path.name for path in folder.iterdir()) == ["loaded", "rejected"]

    @pytest.mark.parametrize("content", [FAULTY, None])
    def test_what_cannot_be_put_aside_stays_and_is_told_once(self, source, folder, content):
        (folder / "rejected").mkdir()
        (folder / "rejected" / "precious").write_bytes(b"data")
        if content is None:
            (folder / "new").mkdir()
        else:
            (folder / "new").write_bytes(content)

        fetched = source.fetch()

        assert fetched.rejected is not None
        assert 'cannot rename "new" to "rejected" in control directory' in fetched.warnings[0]
        remedy = f"write a release to {folder / 'new'}"
        assert source.fetch() == Fetched(release=None, remedy=remedy, ask_again=True)
        assert sorted(path.name for path in folder.iterdir()) == ["last_error", "new", "rejected"]

    def test_a_fifo_is_rejected_without_waiting_for_a_writer(self, source, folder):
        os.mkfifo(folder / "new")
        assert "must be a file, got a FIFO" in str(source.fetch().rejected)

    def test_a_socket_is_rejected(self, source, folder):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "new"))
            assert "must be a file, got a socket" in str(source.fetch().rejected)

    def test_a_link_to_a_device_is_rejected(self, source, folder):
        (folder / "new").symlink_to("/dev/zero")
        assert "must be a file, got a device" in str(source.fetch().rejected)
        assert (folder / "rejected").is_symlink()

    def test_a_link_to_nothing_is_rejected(self, source, folder):
        (folder / "new").symlink_to("nothing")
        assert 'must be a file, got a link to "nothing", which is missing' in str(
            source.fetch().rejected
        )
        assert (folder / "rejected").is_symlink()

    def test_where_a_rejected_link_leads_is_shown_as_text(self, source, folder):
        os.symlink(b"a\n\033]0;b\377", folder / "new")
        source.fetch()
        told = (folder / "last_error").read_bytes()
        assert rb'got a link to "a\n\x1b]0;b\xff", which is missing' in told
        assert told.count(b"\n") == 1

    def test_a_link_is_followed_and_what_it_leads_to_stays(self, source, folder, version):
        target = folder.parent / "release.json"
        target.write_bytes(version(4))
        (folder / "new").symlink_to("../release.json")
        assert version_of(source.fetch()) == 4
        assert files(folder) == {"loaded": version(4)}
        assert not (folder / "loaded").is_symlink()
        assert target.read_bytes() == version(4)


class TestUnusableFolder:
    def test_a_missing_folder_is_an_error_that_says_how_to_make_it(self, tmp_path):
        missing = tmp_path / "my control"
        with pytest.raises(SourceError) as caught:
            DirectorySource(missing).fetch()
        assert str(caught.value) == (
            f"HSUP_CONTROL_DIR is {missing}, which does not exist; create it: mkdir -p '{missing}'"
        )

    def test_a_file_in_its_place_is_an_error(self, tmp_path):
        (tmp_path / "control").touch()
        with pytest.raises(SourceError, match="which is not a directory; set it to a control"):
            DirectorySource(tmp_path / "control").fetch()

    def test_a_folder_that_may_not_be_read_is_an_error(self, folder):
        with (
            refused(folder, errno.EACCES),
            pytest.raises(SourceError, match="which cannot be read: Permission denied; allow"),
        ):
            DirectorySource(folder).fetch()

    def test_a_new_that_may_not_be_read_is_an_error(self, folder, version):
        (folder / "new").write_bytes(version(2))
        with (
            refused(folder / "new", errno.EACCES),
            pytest.raises(SourceError, match=r'cannot read "new" in control .*denied'),
        ):
            DirectorySource(folder).fetch()
        assert files(folder) == {"new": version(2)}

    def test_in_a_read_only_folder_the_running_release_goes_on(self, source, folder, version):
        (folder / "loaded").write_bytes(version(1))
        source.fetch()
        (folder / "new").write_bytes(version(2))
        with refused(folder / ".loaded.tmp", errno.EROFS):
            with pytest.raises(SourceError) as caught:
                source.fetch()
            assert str(caught.value) == (
                f'cannot write "loaded" in control directory {folder}: '
                "Read-only file system; mount the file system read-write"
            )
        assert files(folder) == {"loaded": version(1), "new": version(2)}
        assert version_of(source.fetch()) == 2

    def test_at_a_cold_start_the_loaded_release_matters_more(self, source, folder, version):
        (folder / "loaded").write_bytes(version(1))
        (folder / "new").write_bytes(version(2))
        with refused(folder / ".loaded.tmp", errno.ENOSPC):
            fetched = source.fetch()
            assert version_of(fetched) == 1
            assert "No space left on device; free some space" in fetched.warnings[0]
            with pytest.raises(SourceError, match="No space left on device"):
                source.fetch()

    def test_in_a_read_only_folder_a_faulty_new_is_told_once(self, source, folder, version):
        (folder / "loaded").write_bytes(version(1))
        (folder / "new").write_bytes(FAULTY)
        with refused(folder / ".last_error.tmp", errno.EROFS):
            fetched = source.fetch()
            assert version_of(fetched) == 1
            assert fetched.rejected is not None
            assert 'cannot write "last_error" in control directory' in fetched.warnings[0]
            assert source.fetch().rejected is None

    def test_a_full_disk_leaves_everything_as_it_was(self, folder, version):
        (folder / "loaded").write_bytes(version(1))
        source = DirectorySource(folder)
        source.fetch()
        content = version(2, Env={"A": "x" * 10_000})
        (folder / "new").write_bytes(content)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
        try:
            with pytest.raises(SourceError, match=r'cannot write "loaded" in .*: File too large'):
                source.fetch()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert files(folder) == {"loaded": version(1), "new": content}
        assert version_of(source.fetch()) == 2

    def test_a_faulty_new_on_a_full_disk_is_put_aside_when_there_is_room(
        self, source, folder, version
    ):
        (folder / "loaded").write_bytes(version(1))
        source.fetch()
        (folder / "new").write_bytes(FAULTY)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            fetched = source.fetch()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert fetched.rejected is not None
        assert fetched.ask_again
        assert files(folder) == {"loaded": version(1), "new": FAULTY}

        later = source.fetch()

        assert later == Fetched(release=fetched.release)
        assert files(folder) == {
            "loaded": version(1),
            "rejected": FAULTY,
            "last_error": f'cannot read control file "new": {FAULT}\n'.encode(),
        }


class TestChanges:
    def test_a_slow_writer_is_read_when_it_is_done(self, source, folder, version):
        async def follow() -> list[int | None]:
            seen: list[int | None] = []
            changes = source.changes()
            async with asyncio.timeout(60):
                await anext(changes)
                with (folder / "new").open("wb", buffering=0) as writer:
                    writer.write(version(1)[:5])
                    seen.append(version_of(source.fetch()))
                    writer.write(version(1)[5:])
                await anext(changes)
                seen.append(version_of(source.fetch()))
            await changes.aclose()
            return seen

        assert asyncio.run(follow()) == [None, 1]

    def test_a_file_that_is_renamed_to_new_is_read(self, source, folder, version):
        async def follow() -> int | None:
            changes = source.changes()
            async with asyncio.timeout(60):
                await anext(changes)
                (folder / "draft").write_bytes(version(1))
                (folder / "draft").rename(folder / "new")
                await anext(changes)
            await changes.aclose()
            return version_of(source.fetch())

        assert asyncio.run(follow()) == 1


def test_a_writer_that_comes_while_new_is_read_does_not_end_hsup(folder, version):
    assert signal.getsignal(signal.SIGIO) == signal.SIG_DFL
    (folder / "new").write_bytes(version(1))
    with held(folder) as (directory, submission):
        descriptor = threading.Thread(target=lambda: (folder / "new").open("ab").close())
        descriptor.start()
        while submission.is_at(directory.folder, "new"):
            pass
    descriptor.join()
