"""Remove slugs that the user's rule does not keep, and leftovers of previous hsups."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass

from hsup.archives.digest import KnownDigests
from hsup.archives.limits import Keep, is_young
from hsup.locks import EXCLUSIVE_NOW, lock, unlock
from hsup.numerals import whole_number


def collect(directory: str, keep: Keep) -> None:
    """Make room in the store at `directory`; do not touch what any process has locked."""
    work = os.path.join(directory, "work")
    sweep(work)
    unpacked = os.path.join(directory, "unpacked")
    for slug in surplus(_slugs(unpacked), keep, time.time()):
        # Renamed before it is removed, so that nobody finds a part of it.
        _remove(os.path.join(unpacked, slug), by_way_of=os.path.join(work, f"collected-{slug}"))
    KnownDigests(os.path.join(directory, "known")).forget_all_but(set(os.listdir(unpacked)))


def sweep(work: str) -> list[str]:
    """Remove unfinished work of previous hsups; return the names of its directories."""
    unfinished = [
        entry for entry in os.scandir(work) if not is_young(os.path.join(entry.path, "archive"))
    ]
    return [entry.name for entry in unfinished if _remove(entry.path)]


@dataclass(frozen=True, order=True, slots=True)
class KeptSlug:
    """A slug in the store: when it was last used, and the bytes of its files."""

    used: float
    digest: str
    size: int


def surplus(slugs: list[KeptSlug], keep: Keep, now: float) -> list[str]:
    """Return the digests of slugs that break the rule; `now` is in seconds since the epoch."""
    total = 0
    digests = []
    for count, slug in enumerate(sorted(slugs, reverse=True), start=1):
        total += slug.size
        if (
            (keep.slugs is not None and count > keep.slugs)
            or (keep.age_seconds is not None and now - slug.used > keep.age_seconds)
            or (keep.total_bytes is not None and total > keep.total_bytes)
        ):
            digests.append(slug.digest)
    return digests


def _slugs(unpacked: str) -> list[KeptSlug]:
    slugs = []
    for entry in os.scandir(unpacked):
        try:
            with open(os.path.join(entry.path, "size"), encoding="latin-1") as file:
                size = file.read().strip()
            # A power cut may have left anything in the file; then the slug counts as empty.
            size_bytes = whole_number(size) or 0
            slugs.append(KeptSlug(entry.stat().st_mtime, entry.name, size_bytes))
        except FileNotFoundError:
            pass  # another hsup has collected it
    return slugs


def _remove(path: str, by_way_of: str | None = None) -> bool:
    """Remove a directory (renamed first if asked) unless it is locked; tell if it was removed."""
    try:
        descriptor = lock(path, EXCLUSIVE_NOW)
    except (BlockingIOError, FileNotFoundError):
        return False
    try:
        if by_way_of:
            os.rename(path, by_way_of)
        shutil.rmtree(by_way_of or path)
    finally:
        unlock(descriptor)
    return True
