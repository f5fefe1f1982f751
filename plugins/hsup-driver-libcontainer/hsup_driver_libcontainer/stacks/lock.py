"""Locks on files and folders that may be replaced meanwhile: they end with their process."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX


def hold(path: str, how: int, flags: int = os.O_RDONLY) -> int:
    """Wait for a lock, and return the descriptor that holds it until it is closed.

    It is a lock on what is at that path when it is got. Raises
    FileNotFoundError once there is nothing any more.
    """
    while True:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, how)
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)


def hold_at_once(path: str) -> int | None:
    """Return the descriptor of an exclusive lock on a folder, None if another has one.

    Raises FileNotFoundError.
    """
    descriptor = os.open(path, os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, EXCLUSIVE | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if _is_at(path, descriptor):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def release(descriptor: int) -> None:
    """Give up a lock, also where a child that was forked has a copy of the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


@contextmanager
def if_unused(path: str) -> Iterator[bool]:
    """Hold an exclusive lock on a folder, and tell whether it is there and nobody else's."""
    try:
        descriptor = hold_at_once(path)
    except FileNotFoundError:
        descriptor = None
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def new_folder(path: str, on_wait: Callable[[], None]) -> Iterator[int]:
    """Give a folder that one process at a time has; nothing of it is left at the end.

    Yields the descriptor that holds the lock: children that inherit it hold the
    lock as well. What a killed process left in the folder is still there.
    """
    descriptor = _hold_new_folder(path, on_wait)
    try:
        yield descriptor
    finally:
        import shutil

        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _hold_new_folder(path: str, on_wait: Callable[[], None]) -> int:
    told = False
    while True:
        os.makedirs(path, 0o700, exist_ok=True)
        try:
            descriptor = hold_at_once(path)
            if descriptor is None:
                if not told:
                    on_wait()
                told = True
                descriptor = hold(path, EXCLUSIVE, os.O_DIRECTORY)
        except FileNotFoundError:
            # The one before has ended, and removed it.
            continue
        return descriptor


@contextmanager
def rewritten(path: str) -> Iterator[IO[str]]:
    """Give the file that takes the place of another at the end, one process at a time."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.new"
    descriptor = hold(new, EXCLUSIVE, os.O_RDWR | os.O_CREAT)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.ftruncate(descriptor, 0)
        yield file
        file.flush()
        os.fsync(descriptor)
        os.replace(new, path)


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
