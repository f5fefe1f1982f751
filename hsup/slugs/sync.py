"""Write unpacked slugs to the disk while they are in use already."""

from __future__ import annotations

import ctypes
import logging
import os
from contextlib import suppress

from hsup.locks import SHARED, lock, unlock
from hsup.slugs.disk import is_synced, mark_synced, unmark

_logger = logging.getLogger(__name__)


def sync(directory: str) -> bool:
    """Write a directory of the store to the disk, or have it unpacked again if that fails.

    Returns False if it could not be opened; the caller may try again later.
    """
    try:
        descriptor = lock(directory, SHARED)
    except FileNotFoundError:  # it was collected
        return True
    except OSError as error:
        _logger.warning(
            'cannot write slug "%s" to disk (%s); will retry', directory, error.strerror
        )
        return False
    try:
        if not is_synced(descriptor):
            _sync(descriptor)
    except OSError as error:
        text = 'cannot write slug "%s" to disk (%s); it will be unpacked again before its next use'
        _logger.warning(text, directory, error.strerror)
    finally:
        unlock(descriptor)
    return True


def _sync(descriptor: int) -> None:
    try:
        _sync_file_system(descriptor)
    except OSError:
        # The kernel reports the failure only once, and forgets what it could not write.
        with suppress(FileNotFoundError):
            unmark(descriptor)
        raise
    mark_synced(descriptor)


def _sync_file_system(descriptor: int) -> None:
    """Write the whole file system of a file to its disk (man 2 syncfs).

    Waiting for each file would take many times as long. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
