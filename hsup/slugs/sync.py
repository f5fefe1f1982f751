"""Write what was unpacked to the disk, while it is used already."""

from __future__ import annotations

import ctypes
import logging
import os
from threading import Thread

from hsup.slugs.disk import SYNCED

_logger = logging.getLogger(__name__)


def begin_sync(folder: str, descriptor: int) -> Thread:
    """Begin to write a folder to the disk; `descriptor`, which is its, stays open meanwhile."""
    thread = Thread(target=_sync, args=(folder, descriptor), name="hsup-sync", daemon=True)
    thread.start()
    return thread


def _sync(folder: str, descriptor: int) -> None:
    try:
        _sync_file_system(descriptor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        os.close(os.open(SYNCED, flags, 0o600, dir_fd=descriptor))
        os.fsync(descriptor)
    except OSError as error:
        text = "cannot write %s to the disk, it is unpacked again after the next boot: %s"
        _logger.warning(text, folder, error.strerror)


def _sync_file_system(descriptor: int) -> None:
    """Return when all of a file's file system is on its disk (man 2 syncfs).

    To wait for each file by itself would take many times as long. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
