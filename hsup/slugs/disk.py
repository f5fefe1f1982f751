"""Use unpacked slugs before they are on the disk, and no incomplete one after a power cut.

A directory of the store has one of two marks:

    boot    it was unpacked since the machine booted, and is whole until the next boot
    synced  it is on the disk

A directory with neither mark, or with that of an earlier boot, may lack anything. Directories
are given by their descriptors, since another one may get the same path.
"""

from __future__ import annotations

import os

from hsup.durable import sync

#: Tells one boot from another, see man 5 proc.
BOOT_ID = "/proc/sys/kernel/random/boot_id"

_BOOT, _SYNCED = "boot", "synced"


def mark(directory: int) -> None:
    """Mark a directory as unpacked since this boot."""
    with open(_create(_BOOT, directory), "w", encoding="ascii") as file:
        file.write(_boot_id())


def mark_synced(directory: int) -> None:
    """Mark a directory as being on the disk, once it is there."""
    os.close(_create(_SYNCED, directory))
    sync(directory)


def unmark(directory: int) -> None:
    """Remove the mark of a directory, so that the slug is unpacked again before its next use."""
    os.unlink(_BOOT, dir_fd=directory)


def is_synced(directory: int) -> bool:
    """Tell whether a directory is on the disk."""
    try:
        os.stat(_SYNCED, dir_fd=directory)
    except FileNotFoundError:
        return False
    return True


def is_whole(directory: int) -> bool:
    """Tell whether a directory has everything that was unpacked, on the disk or in memory."""
    if is_synced(directory):
        return True
    try:
        descriptor = os.open(_BOOT, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return False
    with open(descriptor, "rb") as file:
        return file.read() == _boot_id().encode()


def _create(name: str, directory: int) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)


def _boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read()
