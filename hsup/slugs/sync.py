"""Write what was unpacked to the disk, while it is used already."""

from __future__ import annotations

import ctypes
import logging
import os
from contextlib import suppress

from hsup.locks import SHARED, lock, unlock
from hsup.slugs.disk import is_synced, mark_synced, unmark

_logger = logging.getLogger(__name__)


def sync(folder: str) -> bool:
    """Return when a folder of the store is on the disk, or will be unpacked again.

    Returns False where it could not be tried, which the caller may later.
    """
    try:
        descriptor = lock(folder, SHARED)
    except FileNotFoundError:  # it was collected
        return True
    except OSError as error:
        _logger.warning("cannot write %s to the disk yet: %s", folder, error.strerror)
        return False
    try:
        if not is_synced(descriptor):
            _sync(descriptor)
    except OSError as error:
        text = "cannot write %s to the disk, it will be unpacked again: %s"
        _logger.warning(text, folder, error.strerror)
    finally:
        unlock(descriptor)
    return True


def _sync(descriptor: int) -> None:
    try:
        _sync_file_system(descriptor)
    except OSError:
        # The kernel tells each reader of it once only, and forgets what it could not write.
        with suppress(FileNotFoundError):
            unmark(descriptor)
        raise
    mark_synced(descriptor)


def _sync_file_system(descriptor: int) -> None:
    """Return when all of a file's file system is on its disk (man 2 syncfs).

    To wait for each file by itself would take many times as long. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
