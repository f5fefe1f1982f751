"""Watch an application's files, without holding up the start of its dynos."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

from hsup.signatures import FileSignature, signatures

#: When the first dynos have been started: what watches files takes a tenth of that time to import.
_START_SECONDS = 0.1
#: How often the files are looked at until they can be watched.
_POLL_SECONDS = 1.0
#: A file that is written twice within a tick of the kernel's clock may keep its time.
_YOUNG_NANOSECONDS = 100_000_000


async def changes(paths: Collection[str]) -> AsyncGenerator[None, None]:
    """Yield at once, and whenever one of the files may have changed since then."""
    before = _signatures(paths)
    yield None
    await asyncio.sleep(_START_SECONDS)
    while (watched := _watched(paths)) is None:
        before, last = _signatures(paths), before
        if before is None or before != last:
            yield None
        await asyncio.sleep(_POLL_SECONDS)
    async with aclosing(watched):
        await anext(watched)
        if before is None or _signatures(paths) != before:
            yield None
        async for _ in watched:
            yield None


def _watched(paths: Collection[str]) -> AsyncGenerator[None, None] | None:
    """Return what watches the files, None while it cannot be imported: no file can be opened."""
    try:
        from hsup.watch import changes_of
    except OSError:
        return None
    return changes_of(paths)


def _signatures(paths: Collection[str]) -> tuple[FileSignature | None, ...] | None:
    """Return what changes with the files, None if a change at this moment might not show."""
    youngest = time.time_ns() - _YOUNG_NANOSECONDS
    found = signatures(paths)
    return None if any(one and one.changed > youngest for one in found) else found
