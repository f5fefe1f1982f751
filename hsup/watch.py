"""Tell when files of a folder may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from pathlib import Path

from asyncinotify import Inotify, Mask

#: A file that its writer has closed, that was renamed to here, or that is gone.
_CHANGES = Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.MOVED_FROM | Mask.DELETE
_FOLDER_GONE = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT

#: With inotify, for the file systems that take a watch and never report (NFS, 9p).
SLOW_POLL_SECONDS = 10.0
#: Without inotify: its limits are reached, or the folder is not there yet.
POLL_SECONDS = 1.0

#: Editors rename the old file away, and write a new one some milliseconds later.
SETTLE_SECONDS = 0.1
SETTLE_TRIES = 5

_Signature = tuple[tuple[int, int, int] | None, ...]


async def folder_changes(
    folder: Path, names: Collection[str], *, created: bool = False
) -> AsyncGenerator[None, None]:
    """Yield once when the watch is set up, then at every change of a named file.

    A file that is still being written is reported when it is closed, and not
    before, unless only polling works. With `created` it is reported when it
    appears too, so that a hard link or a FIFO is.
    """
    mask = _CHANGES | Mask.CREATE if created else _CHANGES
    with Inotify() as inotify:
        watching = _add_watch(inotify, folder, mask)
        seen = _signature(folder, names)
        yield None
        while True:
            reported = watching and await _next_event(inotify, names, SLOW_POLL_SECONDS)
            if reported:
                reported = await _settled(inotify, names)
            if not watching:
                await asyncio.sleep(POLL_SECONDS)
                watching = _add_watch(inotify, folder, mask)
            before, seen = seen, _signature(folder, names)
            if reported is not False or seen != before:
                yield None
            if reported is None:
                watching = _add_watch(inotify, folder, mask)


def _add_watch(inotify: Inotify, folder: Path, mask: Mask) -> bool:
    try:
        inotify.add_watch(folder, mask | _FOLDER_GONE | Mask.ONLYDIR)
    except OSError:
        return False
    return True


async def _settled(inotify: Inotify, names: Collection[str]) -> bool | None:
    """Wait until an editor that saves in several steps is done, but not long.

    Returns None if meanwhile the folder has gone.
    """
    for _ in range(SETTLE_TRIES):
        reported = await _next_event(inotify, names, SETTLE_SECONDS)
        if not reported:
            return None if reported is None else True
    return True


async def _next_event(inotify: Inotify, names: Collection[str], seconds: float) -> bool | None:
    """Wait for a named file's event, but not long; None says that the folder is gone."""
    try:
        async with asyncio.timeout(seconds):
            async for event in inotify:
                if event.mask & (_FOLDER_GONE | Mask.IGNORED):
                    return None
                if event.mask & Mask.Q_OVERFLOW or (event.name and event.name.name in names):
                    return True
    except TimeoutError:
        pass
    return False


def _signature(folder: Path, names: Collection[str]) -> _Signature:
    return tuple(_file_signature(folder / name) for name in sorted(names))


def _file_signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
