"""Have the kernel write what was written to files to the disk that they are on."""

from __future__ import annotations

import ctypes
import os


def sync_disk(descriptor: int) -> None:
    """Return when all of the file system of an open file is on its disk (man 2 syncfs).

    That is a tenth of the time of unpacking; to wait for each file by itself
    would be many times the whole. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
