"""Watch an application's files, without holding up the start of its dynos."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import NamedTuple

#: When the first dynos have been started: what watches files takes a tenth of that time to import.
_START_SECONDS = 0.1
#: A file that is written twice within a tick of the kernel's clock may keep its time.
_YOUNG_NANOSECONDS = 100_000_000


class _File(NamedTuple):
    """The inodes of a file and its directory, when it was written, in nanoseconds, and its size."""

    directory: int
    inode: int
    modified: int
    size: int


#: None for a file that is not there.
_Signature = tuple[_File | None, ...]


async def changes(paths: Collection[str]) -> AsyncGenerator[None, None]:
    """Yield at once, and whenever one of the files may have changed since then."""
    before = _signature(paths)
    yield None
    await asyncio.sleep(_START_SECONDS)
    from hsup.watch import changes_of

    async with aclosing(changes_of(paths)) as watched:
        await anext(watched)
        if before is None or _signature(paths) != before:
            yield None
        async for _ in watched:
            yield None


def _signature(paths: Collection[str]) -> _Signature | None:
    """Return what changes with the files, None if a change at this moment might not show."""
    youngest = time.time_ns() - _YOUNG_NANOSECONDS
    found = tuple(map(_of_file, paths))
    return None if any(one and one.modified > youngest for one in found) else found


def _of_file(path: str) -> _File | None:
    try:
        directory, file = os.stat(os.path.dirname(path)), os.stat(path)
    except OSError:
        return None
    return _File(directory.st_ino, file.st_ino, file.st_mtime_ns, file.st_size)
