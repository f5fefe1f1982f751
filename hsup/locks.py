"""Lock folders and files, so that a lock ends with its process, and with what is locked.

The lock is on the folder itself (man 2 flock) where there is one: there is no lock file to
be removed, at the wrong moment or never. Whoever has a lock knows that what it is on still has
its path, which others remove and make again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from hsup.cancellation import pause
from hsup.folders import make_folders

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
#: Make a file that is missing, or only one that is.
MAKE, MAKE_NEW = os.O_CREAT, os.O_CREAT | os.O_EXCL

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX
EXCLUSIVE_NOW = fcntl.LOCK_EX | fcntl.LOCK_NB

_PRIVATE = 0o600

#: How often it is tried again to lock what another process has locked.
_LOOK_SECONDS = 0.1


def lock(path: str, operation: int) -> int:
    """Return a descriptor of a folder that holds a lock on it.

    Raises FileNotFoundError where the folder is gone, also if that happens
    while another process has it locked, and BlockingIOError where it is locked
    and `operation` is not to wait.
    """
    return _locked(path, _FOLDER_FLAGS, operation)


def lock_file(path: str, operation: int, making: int = 0) -> int:
    """Return a descriptor of a file, to read and to write, that holds a lock on it.

    With MAKE or MAKE_NEW for `making` it is made, for this user alone; raises FileExistsError
    where it had to be new. Raises as `lock` does.
    """
    return _locked(path, _FILE_FLAGS | making, operation)


def lock_or_make(path: str, *, on_wait: Callable[[], None]) -> int:
    """Return a descriptor that holds the exclusive lock on a folder, which is made if needed.

    Calls `on_wait` before it waits for another process, once. Raises GivenUp.
    """
    is_told = False
    while True:
        make_folders(path)
        try:
            return lock(path, EXCLUSIVE_NOW)
        except FileNotFoundError:
            pass  # who had it locked has removed it
        except BlockingIOError:
            if not is_told:
                on_wait()
                is_told = True
            pause(_LOOK_SECONDS)  # a call of flock could not be given up


def unlock(descriptor: int) -> None:
    """Give up a lock."""
    try:
        # Closing is not enough: a child that is being forked has a copy.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def is_at(path: str, descriptor: int) -> bool:
    """Tell whether what was opened still has its path. Raises OSError where nobody can tell."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _locked(path: str, flags: int, operation: int) -> int:
    while True:
        descriptor = os.open(path, flags, _PRIVATE)
        try:
            fcntl.flock(descriptor, operation)
            if is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
