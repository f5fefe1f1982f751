"""Use what was unpacked before it is on the disk, and never half of it after a power cut.

A folder of the store has one of two marks:

    boot    it was unpacked while the machine ran, and is whole as long as that is so
    synced  it is on the disk

One with neither, or with the mark of an earlier boot, may lack anything. Folders are
given by a descriptor, since another one may come to have the path.
"""

from __future__ import annotations

import os

#: Tells one boot from another, see man 5 proc.
BOOT_ID = "/proc/sys/kernel/random/boot_id"

_BOOT, _SYNCED = "boot", "synced"


def mark(folder: int) -> None:
    """Mark a folder as unpacked now."""
    with open(_create(_BOOT, folder), "w", encoding="ascii") as file:
        file.write(_boot_id())


def mark_synced(folder: int) -> None:
    """Mark a folder as being on the disk, where it is."""
    os.close(_create(_SYNCED, folder))
    os.fsync(folder)


def unmark(folder: int) -> None:
    """Have nobody use a folder again before it was unpacked once more."""
    os.unlink(_BOOT, dir_fd=folder)


def is_synced(folder: int) -> bool:
    """Tell whether a folder is on the disk."""
    try:
        os.stat(_SYNCED, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def is_whole(folder: int) -> bool:
    """Tell whether a folder has all that was unpacked, whether on the disk or not."""
    if is_synced(folder):
        return True
    try:
        descriptor = os.open(_BOOT, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    with open(descriptor, "rb") as file:
        return file.read() == _boot_id().encode()


def _create(name: str, folder: int) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder)


def _boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read()
