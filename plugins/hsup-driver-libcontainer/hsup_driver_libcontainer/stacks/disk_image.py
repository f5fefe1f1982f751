"""Unpack the disk images of stacks sparsely, and check them before they are used."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO

from hsup.cancellation import require_wanted
from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.archive import MAKE_AGAIN, Archive, capacity
from hsup_driver_libcontainer.stacks.copying import copy
from hsup_driver_libcontainer.stacks.progress import StepPrinter
from hsup_driver_libcontainer.stacks.root import check_root
from hsup_driver_libcontainer.stacks.stack import mount_command
from hsup_driver_libcontainer.stacks.tools import Tools, stop

_BLOCK_BYTES = 1 << 16
_ZEROES = bytes(_BLOCK_BYTES)

#: Mounts the image in a mount namespace of its own until the process ends.
_MOUNT_AND_STAY = '"$@" && echo mounted && exec sleep infinity'


def unpack_image(archive: Archive, image: str, tools: Tools, progress: StepPrinter) -> None:
    """Write the image that an archive contains, with holes where it has only zeroes."""
    if not archive.compression:
        copy(archive.path, image, archive.name, tools, progress)
        return
    total = os.path.getsize(archive.path)
    with open(archive.path, "rb", buffering=0) as file:

        def watch() -> None:
            require_wanted()
            progress.show(os.lseek(file.fileno(), 0, os.SEEK_CUR), total)

        process = tools.start(archive.compression, "-dc", stdin=file)
        assert process.stdout
        assert process.stderr
        try:
            if not _write_sparsely(process.stdout, image, watch):
                text = f"{archive.name} unpacks to more bytes than the file system for stacks has"
                hint = "use a smaller one, or set HSUP_STACKS_DIR to a directory on a larger disk"
                raise DriverError(text, hint=hint)
            complaint = process.stderr.read().decode(errors="replace").strip()
            if process.wait():
                reason = complaint or f"{archive.compression} failed"
                raise DriverError(f"cannot unpack {archive.name}: {reason}", hint=MAKE_AGAIN)
        finally:
            stop(process)


def check_image(image: str, filesystem: str, name: str, tools: Tools) -> None:
    """Raise DriverError if an image cannot be mounted, or has no root file system."""
    target = f"{image}.mounted"
    os.mkdir(target, 0o700)
    command = mount_command(image, filesystem, target)
    tools.check(command[0])
    inside = ("unshare", "--mount", "--propagation", "private", "--")
    process = tools.start(*inside, "sh", "-c", _MOUNT_AND_STAY, "sh", *command)
    assert process.stdout
    assert process.stderr
    try:
        if not process.stdout.readline():
            complaint = process.stderr.read().decode(errors="replace").strip()
            text = f'cannot mount the disk image of stack "{name}": {complaint or "mount failed"}'
            hint = f"{MAKE_AGAIN}, or run modprobe {filesystem}"
            raise DriverError(text, hint=None if complaint.startswith("unshare") else hint)
        check_root(f"/proc/{process.pid}/root{target}", name)
    finally:
        stop(process)
        os.rmdir(target)


def _write_sparsely(source: IO[bytes], path: str, watch: Callable[[], None]) -> bool:
    """Write all data; return False if there is more than the file system's capacity."""
    with open(path, "wb") as file:
        most = capacity(path)
        while block := source.read(_BLOCK_BYTES):
            if block == _ZEROES[: len(block)]:
                file.seek(len(block), os.SEEK_CUR)
            else:
                file.write(block)
            watch()
            if file.tell() > most:
                return False
        file.truncate(file.tell())
    return True
