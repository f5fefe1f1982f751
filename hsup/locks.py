"""Lock folders, so that a lock ends with its process, and with the folder.

The lock is on the folder itself (man 2 flock): there is no lock file to be
removed, at the wrong moment or never.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from hsup.cancellation import pause
from hsup.folders import make_folders

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX
EXCLUSIVE_NOW = fcntl.LOCK_EX | fcntl.LOCK_NB

#: How often it is tried again to lock what another process has locked.
_LOOK_SECONDS = 0.1


def lock(path: str, operation: int) -> int:
    """Return a descriptor of a folder that holds a lock on it.

    Raises FileNotFoundError where the folder is gone, also if that happens
    while another process has it locked, and BlockingIOError where it is locked
    and `operation` is not to wait.
    """
    while True:
        descriptor = os.open(path, _FLAGS)
        try:
            fcntl.flock(descriptor, operation)
            if _is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


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


def _is_at(path: str, descriptor: int) -> bool:
    """Tell whether a folder is still where it was when it was opened."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
