"""Report when files in a directory may have changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Collection
from contextlib import ExitStack
from pathlib import Path

from asyncinotify import Inotify, Mask

from hsup.signatures import signatures

#: A file was closed by its writer, renamed into the directory or out of it, or removed.
_CHANGES = Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.MOVED_FROM | Mask.DELETE
_CHANGES_WHILE_OPEN = Mask.CREATE | Mask.MODIFY
_LINK_TURNED = Mask.CREATE | Mask.MOVED_TO
_DIRECTORY_GONE = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT

#: With inotify, for file systems that accept a watch but report no changes (NFS, 9p).
SLOW_POLL_SECONDS = 10.0
#: Without inotify: its limits are reached, or the directory does not exist yet.
POLL_SECONDS = 1.0

#: Editors rename the old file away, and write a new one some milliseconds later.
SETTLE_SECONDS = 0.1
SETTLE_TRIES = 5


async def directory_changes(
    directory: Path, names: Collection[str], *, while_open: bool = False
) -> AsyncGenerator[None, None]:
    """Yield once when the watch is set up, then after every change of a named file.

    A file that is being written is reported when it is closed, and not before, unless
    only polling works. With `while_open` it is also reported when it appears, and after
    every write. It counts as a change of the files if another directory takes the path,
    or if a symbolic link at the path changes its target.
    """
    mask = _CHANGES | _CHANGES_WHILE_OPEN if while_open else _CHANGES
    with ExitStack() as stack:
        watch = _watch(stack, directory, mask)
        paths = [directory / name for name in sorted(names)]
        seen = (_identity(directory), signatures(paths))
        yield None
        while True:
            reported: bool | None = False
            if watch is None:
                await asyncio.sleep(POLL_SECONDS)
            else:
                reported = await _next_change(watch, (*names, directory.name))
            if watch is None or reported is None or _identity(directory) != seen[0]:
                watch = _watch(stack, directory, mask)
            before, seen = seen, (_identity(directory), signatures(paths))
            if reported is not False or seen != before:
                yield None


async def changes_of(paths: Collection[str]) -> AsyncGenerator[None, None]:
    """Yield as `directory_changes` does, for files of several directories."""
    names: dict[str, list[str]] = {}
    for path in paths:
        names.setdefault(os.path.dirname(path), []).append(os.path.basename(path))
    watches = [directory_changes(Path(directory), of) for directory, of in names.items()]
    for watch in watches:
        await anext(watch)
    yield None
    waiting = {asyncio.ensure_future(anext(watch)): watch for watch in watches}
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
                watch = waiting.pop(one)
                waiting[asyncio.ensure_future(anext(watch))] = watch
            yield None
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for watch in watches:
            await watch.aclose()


def _watch(stack: ExitStack, directory: Path, mask: Mask) -> Inotify | None:
    """Return a watch that the stack closes, None if none can be set up now."""
    stack.close()
    try:
        watch = stack.enter_context(Inotify())  # 128 for each user by default (man 7 inotify)
        watch.add_watch(directory, mask | _DIRECTORY_GONE | Mask.ONLYDIR)
        if directory.is_symlink():
            watch.add_watch(directory.parent, _LINK_TURNED)
    except OSError:
        stack.close()
        return None
    return watch


async def _next_change(inotify: Inotify, names: Collection[str]) -> bool | None:
    """Wait for a change, and briefly for an editor that saves in several steps.

    Returns False if there was no change in time, None if the directory is gone.
    """
    reported = await _next_event(inotify, names, SLOW_POLL_SECONDS)
    for _ in range(SETTLE_TRIES if reported else 0):
        reported = await _next_event(inotify, names, SETTLE_SECONDS)
        if not reported:
            return None if reported is None else True
    return reported


async def _next_event(inotify: Inotify, names: Collection[str], seconds: float) -> bool | None:
    """Wait for an event of a named file; False after `seconds`, None if the directory is gone."""
    try:
        async with asyncio.timeout(seconds):
            async for event in inotify:
                if event.mask & (_DIRECTORY_GONE | Mask.IGNORED):
                    return None
                if event.mask & Mask.Q_OVERFLOW or (event.name and event.name.name in names):
                    return True
    except TimeoutError:
        pass
    return False


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        status = directory.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
