"""Lock directories and files; a lock ends with its process, and with the directory or file.

A directory is locked itself (man 2 flock): there is no lock file that would have to be removed,
at the wrong moment or never. When a lock is granted, the directory or file still has its path:
another process may have removed it meanwhile, and created a new one there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from hsup.cancellation import pause
from hsup.directories import make_directories

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
#: Create a file if it is missing; create a file that must be missing.
MAKE, MAKE_NEW = os.O_CREAT, os.O_CREAT | os.O_EXCL

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX
EXCLUSIVE_NOW = fcntl.LOCK_EX | fcntl.LOCK_NB

_PRIVATE = 0o600

#: How long to wait before the next attempt to lock what another process has locked.
_LOOK_SECONDS = 0.1


def lock(path: str, operation: int) -> int:
    """Lock a directory; return a descriptor of it that holds the lock.

    Raises FileNotFoundError if the directory does not exist, or is removed while another
    process has it locked, and BlockingIOError if it is locked and `operation` does not wait.
    """
    return _locked(path, _DIRECTORY_FLAGS, operation)


def lock_file(path: str, operation: int, making: int = 0) -> int:
    """Lock a file; return a descriptor for reading and writing that holds the lock.

    With MAKE or MAKE_NEW for `making` the file is created, for this user alone. Raises what
    `lock` raises, and FileExistsError if the file exists with MAKE_NEW.
    """
    return _locked(path, _FILE_FLAGS | making, operation)


def lock_or_make(path: str, *, on_wait: Callable[[], None]) -> int:
    """Lock a directory exclusively, creating it if needed; return the descriptor with the lock.

    Calls `on_wait` once, before the first wait for another process. Raises GivenUp.
    """
    has_waited = False
    while True:
        make_directories(path)
        try:
            return lock(path, EXCLUSIVE_NOW)
        except FileNotFoundError:
            pass  # the process that had it locked has removed it
        except BlockingIOError:
            if not has_waited:
                on_wait()
                has_waited = True
            pause(_LOOK_SECONDS)  # unlike a blocking flock, this can be given up


def unlock(descriptor: int) -> None:
    """Release a lock, and close its descriptor."""
    try:
        # Closing is not enough: a child that was just forked has a copy.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def is_at(path: str, descriptor: int) -> bool:
    """Tell whether an open file or directory still has its path. Raises OSError if unknown."""
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
