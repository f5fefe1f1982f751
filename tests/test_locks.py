from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.cancellation import GivenUp, until
from hsup.locks import (
    EXCLUSIVE,
    EXCLUSIVE_NOW,
    MAKE,
    MAKE_NEW,
    SHARED,
    is_at,
    lock,
    lock_file,
    lock_or_make,
    unlock,
)

FILE, DIRECTORY = "file", "directory"


#: What is locked: its path, what makes it, what removes it, what locks it.
Thing = tuple[str, Callable[[], None], Callable[[], None], Callable[..., int]]


@pytest.fixture(params=[FILE, DIRECTORY])
def thing(request: pytest.FixtureRequest, tmp_path: Path) -> Thing:
    """Return a path, and functions that create, remove and lock the file or directory there."""
    path = tmp_path / "locked"
    is_file = request.param == FILE
    make, remove = (path.touch, path.unlink) if is_file else (path.mkdir, path.rmdir)
    locked = {FILE: lock_file, DIRECTORY: lock}[request.param]
    make()
    return str(path), make, remove, locked


def test_one_at_a_time_has_an_exclusive_lock(
    thing: Thing,
) -> None:
    path, _, _, locked = thing
    held = locked(path, EXCLUSIVE)
    with pytest.raises(BlockingIOError):
        locked(path, EXCLUSIVE_NOW)
    unlock(held)
    unlock(locked(path, EXCLUSIVE_NOW))


def test_any_number_have_a_shared_lock(
    thing: Thing,
) -> None:
    path, _, _, locked = thing
    held = [locked(path, SHARED) for _ in range(2)]
    with pytest.raises(BlockingIOError):
        locked(path, EXCLUSIVE_NOW)
    for descriptor in held:
        unlock(descriptor)
    unlock(locked(path, EXCLUSIVE_NOW))


def test_a_lock_ends_though_a_process_that_was_forked_has_the_descriptor(
    thing: Thing,
) -> None:
    path, _, _, locked = thing
    held = locked(path, EXCLUSIVE)
    os.set_inheritable(held, True)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        unlock(held)
        unlock(locked(path, EXCLUSIVE_NOW))
    finally:
        child.kill()
        child.wait()


def wait_for_waiter(thread: threading.Thread, path: str) -> None:
    """Wait until a thread waits for the lock that another descriptor holds on a path."""
    inode = os.stat(path).st_ino
    while thread.is_alive():
        with open("/proc/locks", encoding="ascii") as file:
            if any("->" in line and f":{inode} " in line for line in file):
                return
    raise AssertionError("it did not wait")


class Waiter(threading.Thread):
    """Waits for a lock."""

    def __init__(self, locked: Callable[..., int], path: str) -> None:
        super().__init__()
        self._locked, self._path = locked, path
        self.descriptor = -1
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            self.descriptor = self._locked(self._path, EXCLUSIVE)
        except OSError as error:
            self.error = error


def test_what_was_made_again_meanwhile_is_locked_as_it_is_now(
    thing: Thing,
) -> None:
    path, make, remove, locked = thing
    held = locked(path, EXCLUSIVE)
    waiter = Waiter(locked, path)
    waiter.start()
    wait_for_waiter(waiter, path)
    remove()
    make()
    unlock(held)
    waiter.join()
    assert is_at(path, waiter.descriptor)
    with pytest.raises(BlockingIOError):
        locked(path, EXCLUSIVE_NOW)
    unlock(waiter.descriptor)


def test_what_was_removed_meanwhile_cannot_be_locked(
    thing: Thing,
) -> None:
    path, _, remove, locked = thing
    held = locked(path, EXCLUSIVE)
    waiter = Waiter(locked, path)
    waiter.start()
    wait_for_waiter(waiter, path)
    remove()
    unlock(held)
    waiter.join()
    assert isinstance(waiter.error, FileNotFoundError)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_lock_is_on_the_directory_that_is_there_when_it_is_had(
    tmp_path: Path, is_replaced: bool
) -> None:
    """The directory that was locked when the wait began is not locked at its end."""
    path, aside = tmp_path / "directory", tmp_path / "aside"
    path.mkdir()
    held = lock(str(path), EXCLUSIVE)
    waiter = Waiter(lock, str(path))
    waiter.start()
    wait_for_waiter(waiter, str(path))
    path.rename(aside)
    if is_replaced:
        path.mkdir()
    unlock(held)
    waiter.join()
    assert isinstance(waiter.error, FileNotFoundError) is not is_replaced
    if is_replaced:
        assert is_at(str(path), waiter.descriptor)
        unlock(waiter.descriptor)
    unlock(lock(str(aside), EXCLUSIVE_NOW))


def test_a_lock_that_cannot_be_had_leaves_no_descriptor_open(
    thing: Thing,
) -> None:
    path, _, _, locked = thing
    held = locked(path, EXCLUSIVE)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(BlockingIOError):
        locked(path, EXCLUSIVE_NOW)
    assert os.listdir("/proc/self/fd") == before
    unlock(held)


def test_a_directory_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lock(str(tmp_path / "nowhere"), SHARED)


def test_a_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with pytest.raises(FileNotFoundError):
        lock_file(path, EXCLUSIVE)
    descriptor = lock_file(path, EXCLUSIVE, MAKE)
    os.pwrite(descriptor, b"content", 0)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.pread(descriptor, 100, 0) == b"content"
    unlock(descriptor)


def test_a_file_that_has_to_be_new_may_not_be_there(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    unlock(lock_file(path, EXCLUSIVE, MAKE_NEW))
    with pytest.raises(FileExistsError):
        lock_file(path, EXCLUSIVE, MAKE_NEW)


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "lock").symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"):
        lock_file(str(tmp_path / "lock"), EXCLUSIVE, MAKE)


def test_a_directory_that_is_missing_is_made_and_locked(tmp_path: Path) -> None:
    path = str(tmp_path / "a/b")
    descriptor = lock_or_make(path, on_wait=pytest.fail)
    with pytest.raises(BlockingIOError):
        lock(path, EXCLUSIVE_NOW)
    unlock(descriptor)


def test_that_another_has_the_lock_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path)
    held = lock(path, EXCLUSIVE)
    told = []
    looks = iter([None, None, lambda: unlock(held)])
    monkeypatch.setattr("hsup.locks.pause", lambda _: (next(looks) or (lambda: None))())
    unlock(lock_or_make(path, on_wait=lambda: told.append("waiting")))
    assert told == ["waiting"]
    assert list(looks) == []


def test_a_directory_is_made_and_who_has_to_wait_for_it_is_told_once(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b")
    held = lock_or_make(path, on_wait=pytest.fail)
    told = []

    def give_up() -> None:
        told.append("waiting")
        threading.Timer(0.25, lambda: (shutil.rmtree(path), unlock(held))).start()

    descriptor = lock_or_make(path, on_wait=give_up)
    assert told == ["waiting"]
    assert is_at(path, descriptor)
    unlock(descriptor)


def test_who_waits_for_a_lock_may_be_given_up(tmp_path: Path) -> None:
    path = str(tmp_path / "locked")
    held = lock_or_make(path, on_wait=pytest.fail)
    given_up = threading.Event()
    with until(given_up), pytest.raises(GivenUp):
        lock_or_make(path, on_wait=given_up.set)
    unlock(held)
