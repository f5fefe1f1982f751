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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Fetched
from hsup.errors import SourceError
from hsup_source_directory.source import DirectorySource
from hsup_source_directory.store import ControlDirectory, opened_directory
from hsup_source_directory.submission import Submission, hold

FAULTY = b'{"Version": "two"}'
FAULT = 'line 1: "Version" must be a whole number, 0 or more, got "two"'


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def version_of(fetched: Fetched) -> int | None:
    return fetched.release.version if fetched.release else None


def never_sleep(seconds: float) -> None:
    raise AssertionError(f"slept for {seconds} s")


@pytest.fixture
def source(directory: Path) -> DirectorySource:
    return DirectorySource(directory, sleep=never_sleep)


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the kernel refuse leases, as it does for another user's file."""
    real = fcntl.fcntl

    def refuse(descriptor: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETLEASE:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)


@contextmanager
def refused(path: Path, error: int) -> Iterator[None]:
    """Make opening a path, or a name in a directory, fail, which root would not see otherwise."""
    real = os.open

    def refuse(given: str | Path, *args: Any, **options: Any) -> int:
        if given == path or (given == path.name and options.get("dir_fd") is not None):
            raise OSError(error, os.strerror(error))
        return real(given, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refuse)
        yield


@contextmanager
def held(directory: Path) -> Iterator[tuple[ControlDirectory, Submission]]:
    with opened_directory(directory) as control, hold(control.directory, "new") as submission:
        yield control, submission


def test_an_empty_control_directory_has_no_release_yet(
    source: DirectorySource, directory: Path
) -> None:
    assert source.fetch() == Fetched(release=None, remedy=f"write a release to {directory / 'new'}")


def test_a_good_new_becomes_loaded(
    source: DirectorySource, directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "new").write_bytes(version(1))
    assert version_of(source.fetch()) == 1
    assert files(directory) == {"loaded": version(1)}


def test_a_cold_start_reads_loaded(
    source: DirectorySource, directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "loaded").write_bytes(version(3))
    assert version_of(source.fetch()) == 3


def test_the_same_answer_is_given_until_there_is_a_new_one(
    source: DirectorySource, directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "new").write_bytes(version(1))
    assert source.fetch() == source.fetch() == source.fetch()


def test_the_app_is_named_by_the_directory_at_last(
    directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "loaded").write_bytes(version(1))
    assert str(DirectorySource(directory).fetch().release) == "v1 of control"
    assert str(DirectorySource(directory, app="shop").fetch().release) == "v1 of shop"


@pytest.mark.parametrize(("content", "kept"), [(b"{}", "loaded"), (FAULTY, "rejected")])
def test_what_is_kept_of_new_is_private_whatever_new_was(
    source: DirectorySource, directory: Path, content: bytes, kept: str
) -> None:
    (directory / "new").write_bytes(content)
    (directory / "new").chmod(0o666)
    source.fetch()
    assert stat.S_IMODE((directory / kept).stat().st_mode) == 0o600


def test_a_faulty_new_is_rejected_and_the_old_release_goes_on(
    source: DirectorySource, directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "loaded").write_bytes(version(1))
    (directory / "new").write_bytes(FAULTY)

    fetched = source.fetch()

    assert version_of(fetched) == 1
    assert str(fetched.rejected) == f'cannot read control file "new": {FAULT}'
    assert files(directory) == {
        "loaded": version(1),
        "rejected": FAULTY,
        "last_error": f'cannot read control file "new": {FAULT}\n'.encode(),
    }


def test_a_rejection_is_told_once(source: DirectorySource, directory: Path) -> None:
    (directory / "new").write_bytes(FAULTY)
    assert source.fetch().rejected is not None
    assert source.fetch() == Fetched(release=None, remedy=f"write a release to {directory / 'new'}")


def test_what_was_rejected_is_rejected_again_when_it_is_put_back(
    source: DirectorySource, directory: Path
) -> None:
    (directory / "new").write_bytes(FAULTY)
    assert source.fetch().rejected is not None
    (directory / "rejected").rename(directory / "new")
    assert source.fetch().rejected is not None


def test_last_error_has_a_line_for_every_fault(source: DirectorySource, directory: Path) -> None:
    (directory / "new").write_bytes(b'{"Version": "two",\n"Name": 5}')
    source.fetch()
    assert (directory / "last_error").read_text() == (
        f'cannot read control file "new": {FAULT}\n'
        'cannot read control file "new": line 2: "Name" must be a string, got 5\n'
    )


def test_a_later_good_one_clears_the_rejection(
    source: DirectorySource, directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "new").write_bytes(FAULTY)
    source.fetch()
    (directory / "new").write_bytes(version(2))
    assert version_of(source.fetch()) == 2
    assert files(directory) == {"loaded": version(2)}


def test_an_empty_new_is_rejected(source: DirectorySource, directory: Path) -> None:
    (directory / "new").touch()
    assert "the file is empty" in str(source.fetch().rejected)
    assert sorted(files(directory)) == ["last_error", "rejected"]


def test_a_hundred_megabytes_are_rejected_unread(source: DirectorySource, directory: Path) -> None:
    with (directory / "new").open("wb") as file:
        file.truncate(100 * 2**20)
    assert str(source.fetch().rejected) == (
        'cannot read control file "new": must be at most 1 MiB, got 100.0 MiB'
    )


def test_warnings_are_told_once(source: DirectorySource, directory: Path) -> None:
    (directory / "new").write_bytes(b'{"versoin": 1, "Processes": []}')
    text = (
        'control file "loaded": line 1: unknown key "versoin" is ignored, did you mean "Version"?'
    )
    assert source.fetch().warnings == (text,)
    assert source.fetch().warnings == ()


def test_a_faulty_loaded_is_an_error(source: DirectorySource, directory: Path) -> None:
    (directory / "loaded").write_bytes(FAULTY)
    with pytest.raises(SourceError) as caught:
        source.fetch()
    assert str(caught.value) == (
        f'cannot read control file "loaded": {FAULT}; write a valid one named "new" there, '
        'or remove "loaded"'
    )


def test_a_good_new_replaces_a_faulty_loaded(
    source: DirectorySource, directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "loaded").write_bytes(FAULTY)
    (directory / "new").write_bytes(version(2))
    assert version_of(source.fetch()) == 2


def test_another_hsup_that_accepts_new_is_followed(
    source: DirectorySource, directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "new").write_bytes(version(1))
    source.fetch()
    (directory / "new").write_bytes(version(2))
    assert version_of(DirectorySource(directory).fetch()) == 2
    assert version_of(source.fetch()) == 2


def test_many_hsups_on_one_directory_do_not_disturb_each_other(
    directory: Path, version: Callable[..., bytes]
) -> None:
    answers: list[int | None] = []

    def follow() -> None:
        source = DirectorySource(directory)
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
        (directory / "draft").write_bytes(version(number))
        (directory / "draft").rename(directory / "new")
    for follower in followers:
        follower.join(60)
        assert not follower.is_alive()
    assert files(directory) == {"loaded": version(50)}


def test_a_directory_that_another_process_has_locked_is_an_error(
    directory: Path, version: Callable[..., bytes]
) -> None:
    (directory / "new").write_bytes(version(1))
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(SourceError, match="is locked by another process"):
            DirectorySource(directory, sleep=lambda _: None).fetch()
    finally:
        os.close(descriptor)


class TestBeingWritten:
    def test_a_new_that_is_open_for_writing_is_read_when_it_is_complete(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "loaded").write_bytes(version(1))
        told: list[str] = []
        with (directory / "new").open("wb", buffering=0) as writer:
            for part in (b"", b'{"Vers', b'ion": 2, "Processes": []'):
                writer.write(part)
                fetched = source.fetch()
                assert version_of(fetched) == 1
                assert fetched.rejected is None
                told += fetched.warnings
            writer.write(b"}")
            assert version_of(source.fetch()) == 2
            assert sorted(files(directory)) == ["loaded"]
        assert told == [
            'control file "new" is incomplete and open for writing; hsup waits until it is closed'
        ]

    def test_a_faulty_new_is_rejected_when_it_is_closed(
        self, source: DirectorySource, directory: Path
    ) -> None:
        with (directory / "new").open("wb", buffering=0) as writer:
            writer.write(FAULTY)
            assert source.fetch().rejected is None
        assert source.fetch().rejected is not None

    @pytest.mark.usefixtures("no_leases")
    def test_without_leases_a_young_faulty_file_gets_time(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        def finish_writing(seconds: float) -> None:
            assert 0 < seconds <= 2
            (directory / "new").write_bytes(version(2))

        (directory / "new").write_bytes(b'{"Vers')
        source = DirectorySource(directory, sleep=finish_writing)
        assert source.fetch().rejected is None
        assert version_of(source.fetch()) == 2

    @pytest.mark.usefixtures("no_leases")
    def test_without_leases_a_faulty_file_is_rejected_in_the_end(self, directory: Path) -> None:
        (directory / "new").write_bytes(b'{"Vers')
        assert DirectorySource(directory, sleep=lambda _: None).fetch().rejected is not None

    @pytest.mark.usefixtures("no_leases")
    def test_without_leases_an_old_faulty_file_is_rejected_at_once(
        self, source: DirectorySource, directory: Path
    ) -> None:
        (directory / "new").write_bytes(b'{"Vers')
        os.utime(directory / "new", (0, 0))
        assert source.fetch().rejected is not None

    def test_a_writer_that_comes_while_new_is_read_waits_and_is_noticed(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "new").write_bytes(version(1))
        writer = threading.Thread(target=(directory / "new").write_bytes, args=(version(2),))
        with held(directory) as (control, submission):
            assert submission.is_at(control.directory, "new")
            writer.start()
            while submission.is_at(control.directory, "new"):
                assert writer.is_alive()
            assert (directory / "new").read_bytes() == version(1)
        writer.join()
        assert (directory / "new").read_bytes() == version(2)


class TestReplacedMeanwhile:
    def test_a_newer_new_is_not_removed_for_the_older_one(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "new").write_bytes(version(1))
        with held(directory) as (control, submission):
            (directory / "draft").write_bytes(version(2))
            (directory / "draft").rename(directory / "new")
            assert not control.accept(submission, version(1))
        assert files(directory) == {"loaded": version(1), "new": version(2)}

    def test_a_newer_new_is_not_rejected_for_the_older_one(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "new").write_bytes(FAULTY)
        with held(directory) as (control, submission):
            (directory / "draft").write_bytes(version(2))
            (directory / "draft").rename(directory / "new")
            assert not control.reject(submission, "text")
        assert (directory / "new").read_bytes() == version(2)
        assert version_of(DirectorySource(directory).fetch()) == 2
        assert files(directory) == {"loaded": version(2)}

    def test_a_new_that_its_author_takes_back_is_not_missed(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "new").write_bytes(version(1))
        with held(directory) as (control, submission):
            (directory / "new").unlink()
            assert not control.accept(submission, version(1))
        assert version_of(DirectorySource(directory).fetch()) == 1

    def test_what_was_taken_before_a_crash_is_put_back(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / ".new.taken").write_bytes(version(2))
        (directory / ".loaded.tmp").write_bytes(b"{")
        (directory / ".last_error.tmp").write_bytes(b"")
        assert version_of(source.fetch()) == 2
        assert files(directory) == {"loaded": version(2)}

    def test_what_was_taken_before_a_crash_gives_way_to_a_newer_one(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / ".new.taken").write_bytes(version(1))
        (directory / "new").write_bytes(version(2))
        assert version_of(source.fetch()) == 2
        assert files(directory) == {"loaded": version(2)}

    def test_where_there_are_no_hard_links_what_was_taken_is_renamed_back(
        self,
        source: DirectorySource,
        directory: Path,
        version: Callable[..., bytes],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(*_args: object, **_options: object) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)
        (directory / ".new.taken").write_bytes(version(2))
        assert version_of(source.fetch()) == 2


class TestNotAFile:
    def test_a_directory_is_rejected_with_all_that_is_in_it(
        self, source: DirectorySource, directory: Path
    ) -> None:
        (directory / "new").mkdir()
        (directory / "new" / "precious").write_bytes(b"data")
        fetched = source.fetch()
        assert str(fetched.rejected) == (
            'cannot read control file "new": must be a file, got a directory'
        )
        assert (directory / "rejected" / "precious").read_bytes() == b"data"

    def test_a_directory_that_was_rejected_outlives_a_good_release(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "new").mkdir()
        source.fetch()
        (directory / "new").write_bytes(version(2))
        assert version_of(source.fetch()) == 2
        assert sorted(path.name for path in directory.iterdir()) == ["loaded", "rejected"]

    @pytest.mark.parametrize("content", [FAULTY, None])
    def test_what_cannot_be_put_aside_stays_and_is_told_once(
        self, source: DirectorySource, directory: Path, content: bytes | None
    ) -> None:
        (directory / "rejected").mkdir()
        (directory / "rejected" / "precious").write_bytes(b"data")
        if content is None:
            (directory / "new").mkdir()
        else:
            (directory / "new").write_bytes(content)

        fetched = source.fetch()

        assert fetched.rejected is not None
        assert 'cannot rename "new" to "rejected" in control directory' in fetched.warnings[0]
        remedy = f"write a release to {directory / 'new'}"
        assert source.fetch() == Fetched(release=None, remedy=remedy, ask_again=True)
        assert sorted(path.name for path in directory.iterdir()) == [
            "last_error",
            "new",
            "rejected",
        ]

    def test_a_fifo_is_rejected_without_waiting_for_a_writer(
        self, source: DirectorySource, directory: Path
    ) -> None:
        os.mkfifo(directory / "new")
        assert "must be a file, got a FIFO" in str(source.fetch().rejected)

    def test_a_socket_is_rejected(self, source: DirectorySource, directory: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(directory / "new"))
            assert "must be a file, got a socket" in str(source.fetch().rejected)

    def test_a_link_to_a_device_is_rejected(self, source: DirectorySource, directory: Path) -> None:
        (directory / "new").symlink_to("/dev/zero")
        assert "must be a file, got a device" in str(source.fetch().rejected)
        assert (directory / "rejected").is_symlink()

    def test_a_link_to_nothing_is_rejected(self, source: DirectorySource, directory: Path) -> None:
        (directory / "new").symlink_to("nothing")
        assert 'must be a file, got a link to "nothing", which is missing' in str(
            source.fetch().rejected
        )
        assert (directory / "rejected").is_symlink()

    def test_where_a_rejected_link_leads_is_shown_as_text(
        self, source: DirectorySource, directory: Path
    ) -> None:
        os.symlink(b"a\n\033]0;b\377", directory / "new")
        source.fetch()
        told = (directory / "last_error").read_bytes()
        assert rb'got a link to "a\n\x1b]0;b\xff", which is missing' in told
        assert told.count(b"\n") == 1

    def test_a_link_is_followed_and_what_it_leads_to_stays(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        target = directory.parent / "release.json"
        target.write_bytes(version(4))
        (directory / "new").symlink_to("../release.json")
        assert version_of(source.fetch()) == 4
        assert files(directory) == {"loaded": version(4)}
        assert not (directory / "loaded").is_symlink()
        assert target.read_bytes() == version(4)


class TestUnusableDirectory:
    def test_a_missing_directory_is_an_error_that_says_how_to_make_it(self, tmp_path: Path) -> None:
        missing = tmp_path / "my control"
        with pytest.raises(SourceError) as caught:
            DirectorySource(missing).fetch()
        assert str(caught.value) == (
            f"HSUP_CONTROL_DIR is {missing}, which does not exist; create it: mkdir -p '{missing}'"
        )

    def test_a_file_in_its_place_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "control").touch()
        with pytest.raises(SourceError, match="which is not a directory; set it to a control"):
            DirectorySource(tmp_path / "control").fetch()

    def test_a_directory_that_may_not_be_read_is_an_error(self, directory: Path) -> None:
        with (
            refused(directory, errno.EACCES),
            pytest.raises(SourceError, match="which cannot be read: Permission denied; allow"),
        ):
            DirectorySource(directory).fetch()

    def test_a_new_that_may_not_be_read_is_an_error(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "new").write_bytes(version(2))
        with (
            refused(directory / "new", errno.EACCES),
            pytest.raises(SourceError, match=r'cannot read "new" in control .*denied'),
        ):
            DirectorySource(directory).fetch()
        assert files(directory) == {"new": version(2)}

    def test_in_a_read_only_directory_the_running_release_goes_on(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "loaded").write_bytes(version(1))
        source.fetch()
        (directory / "new").write_bytes(version(2))
        with refused(directory / ".loaded.tmp", errno.EROFS):
            with pytest.raises(SourceError) as caught:
                source.fetch()
            assert str(caught.value) == (
                f'cannot write "loaded" in control directory {directory}: '
                "Read-only file system; mount the file system read-write"
            )
        assert files(directory) == {"loaded": version(1), "new": version(2)}
        assert version_of(source.fetch()) == 2

    def test_at_a_cold_start_the_loaded_release_matters_more(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "loaded").write_bytes(version(1))
        (directory / "new").write_bytes(version(2))
        with refused(directory / ".loaded.tmp", errno.ENOSPC):
            fetched = source.fetch()
            assert version_of(fetched) == 1
            assert "No space left on device; free some space" in fetched.warnings[0]
            with pytest.raises(SourceError, match="No space left on device"):
                source.fetch()

    def test_in_a_read_only_directory_a_faulty_new_is_told_once(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "loaded").write_bytes(version(1))
        (directory / "new").write_bytes(FAULTY)
        with refused(directory / ".last_error.tmp", errno.EROFS):
            fetched = source.fetch()
            assert version_of(fetched) == 1
            assert fetched.rejected is not None
            assert 'cannot write "last_error" in control directory' in fetched.warnings[0]
            assert source.fetch().rejected is None

    def test_a_full_disk_leaves_everything_as_it_was(
        self, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "loaded").write_bytes(version(1))
        source = DirectorySource(directory)
        source.fetch()
        content = version(2, Env={"A": "x" * 10_000})
        (directory / "new").write_bytes(content)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
        try:
            with pytest.raises(SourceError, match=r'cannot write "loaded" in .*: File too large'):
                source.fetch()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert files(directory) == {"loaded": version(1), "new": content}
        assert version_of(source.fetch()) == 2

    def test_a_faulty_new_on_a_full_disk_is_put_aside_when_there_is_room(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        (directory / "loaded").write_bytes(version(1))
        source.fetch()
        (directory / "new").write_bytes(FAULTY)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            fetched = source.fetch()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert fetched.rejected is not None
        assert fetched.ask_again
        assert files(directory) == {"loaded": version(1), "new": FAULTY}

        later = source.fetch()

        assert later == Fetched(release=fetched.release)
        assert files(directory) == {
            "loaded": version(1),
            "rejected": FAULTY,
            "last_error": f'cannot read control file "new": {FAULT}\n'.encode(),
        }


class TestChanges:
    def test_a_slow_writer_is_read_when_it_is_done(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        async def follow() -> list[int | None]:
            seen: list[int | None] = []
            changes = source.changes()
            async with asyncio.timeout(60):
                await anext(changes)
                with (directory / "new").open("wb", buffering=0) as writer:
                    writer.write(version(1)[:5])
                    seen.append(version_of(source.fetch()))
                    writer.write(version(1)[5:])
                await anext(changes)
                seen.append(version_of(source.fetch()))
            await changes.aclose()
            return seen

        assert asyncio.run(follow()) == [None, 1]

    def test_a_file_that_is_renamed_to_new_is_read(
        self, source: DirectorySource, directory: Path, version: Callable[..., bytes]
    ) -> None:
        async def follow() -> int | None:
            changes = source.changes()
            async with asyncio.timeout(60):
                await anext(changes)
                (directory / "draft").write_bytes(version(1))
                (directory / "draft").rename(directory / "new")
                await anext(changes)
            await changes.aclose()
            return version_of(source.fetch())

        assert asyncio.run(follow()) == 1


def test_a_writer_that_comes_while_new_is_read_does_not_end_hsup(
    directory: Path, version: Callable[..., bytes]
) -> None:
    assert signal.getsignal(signal.SIGIO) == signal.SIG_DFL
    (directory / "new").write_bytes(version(1))
    with held(directory) as (control, submission):
        descriptor = threading.Thread(target=lambda: (directory / "new").open("ab").close())
        descriptor.start()
        while submission.is_at(control.directory, "new"):
            pass
    descriptor.join()
