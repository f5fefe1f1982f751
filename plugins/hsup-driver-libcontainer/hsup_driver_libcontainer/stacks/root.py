"""Check that a directory is a root file system that dynos can run on."""

from __future__ import annotations

import os
import platform
import stat

from hsup.errors import DriverError
from hsup_driver_libcontainer.child.paths import resolve

_SHELLS = ("bin/bash", "bin/sh")
#: `e_machine` of an ELF header, see man 5 elf.
_MACHINES = {"x86_64": 62, "aarch64": 183}
_ARCHITECTURES = {62: "amd64", 183: "arm64"}


def check_root(root: str, name: str) -> None:
    """Raise DriverError if a directory is not a root of this machine's architecture."""
    if not os.stat(root).st_mode & stat.S_IXOTH:
        hint = "run chmod 755 on it"
        raise DriverError(f'dynos cannot enter the root directory of stack "{name}"', hint=hint)
    for shell in _SHELLS:
        path = find_file(root, shell)
        if path is None:
            hint = "use a complete root file system that has bash"
            raise DriverError(f'stack "{name}" has no /{shell}', hint=hint)
        _check_machine(path, name)


def find_file(root: str, path: str) -> str | None:
    """Return the file that a path leads to if `root` is the root directory, or None."""
    try:
        resolved = root + resolve(root, path)
    except OSError:  # a loop of links
        return None
    return resolved if os.path.isfile(resolved) else None


def settle(root: str) -> int:
    """Remove the devices of a new root, and return the size of its files in bytes.

    A dyno gets a /dev of its own, so the devices are not needed.
    """
    # The directory that was archived may have been a temporary one, closed to other users.
    os.chmod(root, 0o755)  # noqa: S103 - dynos run as users of their own
    size = 0
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
                os.unlink(path)
            elif stat.S_ISREG(status.st_mode):
                size += status.st_size // status.st_nlink
    return size


def _check_machine(path: str, name: str) -> None:
    with open(path, "rb") as file:
        header = file.read(20)
    wanted = _MACHINES.get(platform.machine())
    if not header.startswith(b"\x7fELF") or wanted is None:
        return
    machine = int.from_bytes(header[18:20], "little")
    if machine != wanted:
        got = _ARCHITECTURES.get(machine, f"machine {machine}")
        raise DriverError(
            f'stack "{name}" is for {got}, but this machine is {_ARCHITECTURES[wanted]}',
            hint=f"use its {_ARCHITECTURES[wanted]} variant",
        )
