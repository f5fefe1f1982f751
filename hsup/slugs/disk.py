"""Use what was unpacked before it is on the disk, and never half of it after a power cut.

A folder of the store has one of two marks:

    boot    it was unpacked while the machine ran, and is whole as long as that is so
    synced  it is on the disk

One with neither, or with the mark of an earlier boot, may lack anything.
"""

from __future__ import annotations

import os

#: Tells one boot from another, see man 5 proc.
BOOT_ID = "/proc/sys/kernel/random/boot_id"

_BOOT, SYNCED = "boot", "synced"


def mark(folder: str) -> None:
    """Mark a folder as unpacked now."""
    with open(os.path.join(folder, _BOOT), "w", encoding="ascii") as file:
        file.write(_boot_id())


def is_synced(folder: str) -> bool:
    """Tell whether a folder is on the disk."""
    return os.path.exists(os.path.join(folder, SYNCED))


def is_whole(folder: str) -> bool:
    """Tell whether a folder has all that was unpacked, whether on the disk or not."""
    if is_synced(folder):
        return True
    try:
        with open(os.path.join(folder, _BOOT), encoding="ascii", errors="replace") as file:
            return file.read() == _boot_id()
    except FileNotFoundError:
        return False


def _boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read()
