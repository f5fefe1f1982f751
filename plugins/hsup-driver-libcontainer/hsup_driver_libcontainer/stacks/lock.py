"""Lock directories and files for one process at a time; the locks end with the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hsup.cancellation import GivenUp
from hsup.directories import make_directories
from hsup.locks import EXCLUSIVE, EXCLUSIVE_NOW, lock, lock_or_make, unlock
from hsup.slugs import SlugUnreachable

#: Within a workspace: the directory of downloads from web servers.
DOWNLOAD = "download"


@contextmanager
def if_unused(path: str) -> Iterator[bool]:
    """Try to lock a directory exclusively; yield whether it exists and no other process uses it."""
    try:
        descriptor = lock(path, EXCLUSIVE_NOW)
    except (BlockingIOError, FileNotFoundError):
        yield False
        return
    try:
        yield True
    finally:
        unlock(descriptor)


@contextmanager
def workspace(path: str, on_wait: Callable[[], None]) -> Iterator[int]:
    """Make and lock a directory for one process at a time; remove it at the end.

    A download that was interrupted by a network failure or given up is kept. Yields the
    descriptor that holds the lock: children that inherit it hold the lock as well. Files that
    a killed process left are still in the directory. Calls `on_wait` before it waits for
    another process.
    """
    descriptor = lock_or_make(path, on_wait=on_wait)
    is_done = True
    try:
        yield descriptor
    except (SlugUnreachable, GivenUp, KeyboardInterrupt):
        is_done = False
        raise
    finally:
        if is_done:
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        unlock(descriptor)


def is_resumable(path: str) -> bool:
    """Tell whether a directory has a download that is young enough to be resumed."""
    downloads = os.path.join(path, DOWNLOAD)
    if not os.path.isdir(downloads):
        return False
    from hsup.archives.limits import is_young

    return any(is_young(os.path.join(downloads, name, "archive")) for name in os.listdir(downloads))


@contextmanager
def rewriting(path: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that replaces the content of a file; one process at a time has it."""
    from hsup.durable import UNFINISHED, write_durably  # rarely needed

    directory = os.path.dirname(path)
    make_directories(directory, 0o755)
    descriptor = lock(directory, EXCLUSIVE)
    try:
        # A fixed name, so that the leftover of a killed process is replaced.
        yield lambda text: write_durably(path, text.encode(), work=f"{path}{UNFINISHED}")
    finally:
        unlock(descriptor)
