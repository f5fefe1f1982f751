from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hsup.cancellation import GivenUp, until
from hsup.locks import EXCLUSIVE, EXCLUSIVE_NOW, SHARED, lock, lock_or_make, unlock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


def is_waited_for(folder: Path) -> bool:
    """Tell whether somebody waits for a lock on a folder (man 5 proc_locks)."""
    inode = f":{folder.stat().st_ino} "
    with open("/proc/locks", encoding="ascii") as file:
        return any("->" in line and inode in line for line in file)


def test_who_shares_keeps_out_who_would_be_alone(folder):
    first, second = (lock(str(folder), SHARED) for _ in range(2))
    with pytest.raises(BlockingIOError):
        lock(str(folder), EXCLUSIVE_NOW)
    unlock(first)
    unlock(second)
    unlock(lock(str(folder), EXCLUSIVE_NOW))


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path):
    with pytest.raises(FileNotFoundError):
        lock(str(tmp_path / "nowhere"), SHARED)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_lock_is_on_the_folder_that_is_there_when_it_is_had(folder, is_replaced):
    held = lock(str(folder), EXCLUSIVE)
    got: list[int] = []
    failed: list[FileNotFoundError] = []

    def wait():
        try:
            got.append(lock(str(folder), EXCLUSIVE))
        except FileNotFoundError as error:
            failed.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not is_waited_for(folder):
        time.sleep(0.001)
    aside = folder.rename(folder.with_name("aside"))
    if is_replaced:
        folder.mkdir()
    unlock(held)
    waiting.join()
    assert (len(got), len(failed)) == ((1, 0) if is_replaced else (0, 1))
    for descriptor in got:
        assert os.path.samestat(os.fstat(descriptor), folder.stat())
        unlock(descriptor)
    unlock(lock(str(aside), EXCLUSIVE_NOW))


def test_a_lock_ends_though_a_child_has_a_copy_of_it(folder):
    held = lock(str(folder), EXCLUSIVE)
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[held]) as child:
        unlock(held)
        unlock(lock(str(folder), EXCLUSIVE_NOW))
        child.communicate(b"\n")


def test_a_folder_that_is_missing_is_made_and_locked(tmp_path):
    path = tmp_path / "a/b"
    descriptor = lock_or_make(str(path), on_wait=pytest.fail)
    with pytest.raises(BlockingIOError):
        lock(str(path), EXCLUSIVE_NOW)
    unlock(descriptor)


def test_that_another_has_the_lock_is_told_once(folder, monkeypatch):
    held = [lock(str(folder), EXCLUSIVE)]
    told = []
    looks = iter([None, None, lambda: unlock(held[0])])
    monkeypatch.setattr("hsup.locks.pause", lambda _: (next(looks) or (lambda: None))())
    unlock(lock_or_make(str(folder), on_wait=lambda: told.append("waiting")))
    assert told == ["waiting"]
    assert list(looks) == []


def test_who_waits_for_a_lock_may_be_given_up(folder):
    held = lock(str(folder), EXCLUSIVE)
    given_up = threading.Event()
    with until(given_up), pytest.raises(GivenUp):
        lock_or_make(str(folder), on_wait=given_up.set)
    unlock(held)
