"""Folders and files that one process at a time works with; the locks end with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hsup.cancellation import GivenUp
from hsup.folders import make_folders
from hsup.locks import EXCLUSIVE, EXCLUSIVE_NOW, lock, lock_or_make, unlock
from hsup.slugs import SlugUnreachable

#: Within a workspace: what came from a web server.
DOWNLOAD = "download"


@contextmanager
def if_unused(path: str) -> Iterator[bool]:
    """Hold an exclusive lock on a folder, and tell whether it is there and nobody else's."""
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
    """Give a folder that one process at a time has; nothing of it is left at the end.

    But what was downloaded until the network failed, or it was given up, is kept. Yields the
    descriptor that holds the lock: children that inherit it hold the lock as well. What a
    killed process left in the folder is still there. Calls `on_wait` before it waits for
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
    """Tell whether a folder has a download that is so young that it may still be resumed."""
    downloads = os.path.join(path, DOWNLOAD)
    if not os.path.isdir(downloads):
        return False
    from hsup.archives.limits import is_young

    return any(is_young(os.path.join(downloads, name, "archive")) for name in os.listdir(downloads))


@contextmanager
def rewriting(path: str) -> Iterator[Callable[[str], None]]:
    """Give what replaces the content of a file, one process at a time."""
    from hsup.durable import UNFINISHED, write_durably  # is needed rarely

    folder = os.path.dirname(path)
    make_folders(folder, 0o755)
    descriptor = lock(folder, EXCLUSIVE)
    try:
        # Of one name, so that what a killed process left is replaced.
        yield lambda text: write_durably(path, text.encode(), work=f"{path}{UNFINISHED}")
    finally:
        unlock(descriptor)
