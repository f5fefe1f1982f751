"""Recognize a file by its content: a tar or a disk image, and its compression."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from hsup.archives.foreign import what_is
from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.tools import Tools, stop

#: The first bytes of each tool's format; see magic(5) of file.
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
}
#: The offset and the magic of each format: tar(5), squashfs_fs.h, ext4's superblock at 1024.
_FORMATS = ((257, b"ustar", "tar"), (0, b"hsqs", "squashfs"), (1024 + 56, b"\x53\xef", "ext4"))
_HEAD_BYTES = 4096
#: The hint for a damaged one.
MAKE_AGAIN = "make or fetch it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A file that a stack is made of.

    `name` is its name in error messages. `compression` is the tool that decompresses it,
    or None. `format` is `tar`, `ext4` or `squashfs`.
    """

    path: str
    name: str
    compression: str | None
    format: str


def recognize(path: str, name: str, tools: Tools) -> Archive:
    """Recognize a file. Raises DriverError if it is neither a tar nor a disk image."""
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    compression = next(
        (tool for mark, tool in _COMPRESSIONS.items() if head.startswith(mark)), None
    )
    if compression:
        head = _decompressed_head(path, compression, tools)
    for offset, mark, form in _FORMATS:
        if head[offset : offset + len(mark)] == mark:
            return Archive(path=path, name=name, compression=compression, format=form)
    kind = None if compression else what_is(head)
    raise DriverError(
        f"{name} is {f'{kind}, ' if kind else ''}neither a tar nor an ext4 or squashfs disk image",
        hint="make one, for example: tar -C ROOT -czf stack.tar.gz .",
    )


def capacity(path: str) -> float:
    """Return how many bytes the file system of a path has, whether free or not."""
    status = os.statvfs(path)
    # Some network file systems report 0.
    return status.f_blocks * status.f_frsize or math.inf


def _decompressed_head(path: str, compression: str, tools: Tools) -> bytes:
    with open(path, "rb") as file:
        process = tools.start(compression, "-dc", stdin=file)
    assert process.stdout
    try:
        return process.stdout.read(_HEAD_BYTES)
    finally:
        stop(process)
