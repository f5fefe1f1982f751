"""Unpack tars of stacks with GNU tar, which keeps all members inside the target directory.

It refuses `..`, and members behind a link that leads out: it puts placeholders there, and
makes such links after everything else is in place.
"""

from __future__ import annotations

import os

from hsup_driver_libcontainer.stacks.archive import MAKE_AGAIN, Archive
from hsup_driver_libcontainer.stacks.progress import StepPrinter
from hsup_driver_libcontainer.stacks.tools import Tools


def unpack_tar(archive: Archive, root: str, tools: Tools, progress: StepPrinter) -> None:
    """Unpack into a new directory, keeping owners, modes and extended attributes."""
    os.mkdir(root, 0o755)
    if archive.compression:
        tools.check(archive.compression)
    total = os.path.getsize(archive.path)
    with open(archive.path, "rb", buffering=0) as file:

        def watch() -> None:
            # tar reads from the same open file description, so this is its position.
            progress.show(os.lseek(file.fileno(), 0, os.SEEK_CUR), total)

        tools.run(
            "tar",
            "--extract",
            *([f"--{archive.compression}"] if archive.compression else []),
            "--file=-",
            f"--directory={root}",
            "--numeric-owner",
            "--same-owner",
            "--preserve-permissions",
            "--xattrs",
            "--xattrs-include=*",
            to=f"unpack {archive.name}",
            hint=MAKE_AGAIN,
            stdin=file,
            watch=watch,
        )
