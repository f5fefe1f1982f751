"""A folder of unpacked slugs: which are there, in use, and on the disk.

    /var/lib/hsup/slugs/
        unpacked/DIGEST/app     what was under ./app/ of the archive with that SHA-256
        unpacked/DIGEST/size    the bytes of its files
        unpacked/DIGEST/boot    and `synced`: see `disk`
        known/KEY               the digest of an archive file or URL, or that a user has it
        work/DIGEST/            where it is being unpacked
        work/fetch-KEY/         where it is being downloaded

A folder of `unpacked` appears whole, by a rename, and what is in its `app` is never
changed; one that a power cut has left is replaced. Who
uses it holds a shared lock on it, who works in a folder of `work` an exclusive
one; so what nobody has locked there is the rest of an hsup that was killed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from hsup.archives.digest import KnownDigests, file_key
from hsup.archives.errors import SlugError
from hsup.archives.limits import read_keep, read_limits
from hsup.archives.location import Archive, ArchiveFile
from hsup.folders import SYSTEM_STATE
from hsup.locks import SHARED, is_at, lock, unlock
from hsup.slugs.disk import is_synced, is_whole

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from hsup.api import Settings

SLUGS_DIR = "HSUP_SLUGS_DIR"
DEFAULT_DIR = f"{SYSTEM_STATE}/slugs"

_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EROFS: f"set {SLUGS_DIR} to a folder that can be written",
    errno.EACCES: f"run hsup as root, or set {SLUGS_DIR} to a folder of yours",
    errno.EPERM: f"run hsup as root, or set {SLUGS_DIR} to a folder of yours",
}


class Unpacked:
    """A slug in use: as long as it is not closed, no hsup collects it.

    `folder` is what a dyno sees as /app. It is the same for all dynos, and is
    not to be written. Its symbolic links are a stranger's: resolve none of them
    on the host. `digest` is the archive's SHA-256 in hexadecimal digits, None
    for a folder that is used as it is. One that not everybody may name is open, and its name is
    that of the descriptor, `/proc/PID/fd/N`.
    """

    def __init__(
        self,
        folder: str,
        digest: str | None = None,
        descriptor: int | None = None,
        found_at: str | None = None,
    ) -> None:
        self.folder = folder
        self.digest = digest
        self._descriptor = descriptor
        self._found_at = found_at

    @property
    def is_current(self) -> bool:
        """Tell whether a folder that is used as it is still has the path that it was found by."""
        if self._found_at is None or self._descriptor is None:
            return True
        try:
            return is_at(self._found_at, self._descriptor)
        except OSError:
            return False

    def close(self) -> None:
        """Give up its use; may be called more than once."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            unlock(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class SlugFolder:
    """The unpacked slugs of this machine; any number of processes and threads may use it."""

    def __init__(self, settings: Settings, backoff_seconds: float) -> None:
        """Read HSUP_SLUGS_*; raise UsageError for a value that makes no sense."""
        folder = settings.environ.get(SLUGS_DIR) or DEFAULT_DIR
        self.folder = os.path.join(settings.folder, folder)
        self.keep = read_keep(settings.environ)
        self.limits = read_limits(settings.environ)
        self.backoff_seconds = backoff_seconds
        self.known = KnownDigests(os.path.join(self.folder, "known"))
        self._unsynced: set[str] = set()
        self._syncing = Lock()

    def open(self, digest: str) -> Unpacked | None:
        """Return a slug in use, None where it is not in the store, or not the whole of it."""
        path = os.path.join(self.folder, "unpacked", digest)
        try:
            descriptor = lock(path, SHARED)
        except FileNotFoundError:
            return None
        try:
            if not is_whole(descriptor):
                unlock(descriptor)
                return None
            os.utime(descriptor)  # the time of its last use, for who collects
            return self.in_use(path, descriptor)
        except OSError:
            unlock(descriptor)
            raise

    def in_use(self, path: str, descriptor: int) -> Unpacked:
        """Return the slug in a folder that is whole; `descriptor` has a shared lock on it."""
        if not is_synced(descriptor):
            self._unsynced.add(path)
        return Unpacked(os.path.join(path, "app"), os.path.basename(path), descriptor)

    def known_digest(self, archive: Archive, opened: int | None = None) -> str | None:
        """Return the digest of a file that has not changed since it was last read."""
        if not isinstance(archive, ArchiveFile):
            return None
        try:
            found = os.stat(archive.path if opened is None else opened)
        except OSError:
            return None  # who reads it says why
        known = self.known.get(file_key(found))
        return known.digest if known else None

    def sweep(self) -> list[str]:
        """Remove what hsups that are no more have left half done; say what it was."""
        work = os.path.join(self.folder, "work")
        with self.failures_told():
            if not os.path.isdir(work) or not os.listdir(work):
                return []
            from hsup.slugs.collect import sweep

            return [f"half of slug {name}" for name in sweep(work)]

    @property
    def has_unsynced(self) -> bool:
        """Tell whether there is something for `sync` to do."""
        return bool(self._unsynced)

    def sync(self) -> None:
        """Return when all slugs that were used are on the disk.

        Until then a power cut undoes their unpacking. It blocks, and is best called when
        dynos run, in a thread, and once more at the end.
        """
        if not self._unsynced and not self._syncing.locked():
            return
        from hsup.slugs.sync import sync

        with self._syncing:
            untried = set()
            while self._unsynced:
                folder = self._unsynced.pop()
                if not sync(folder):
                    untried.add(folder)
            self._unsynced |= untried

    @contextmanager
    def failures_told(self) -> Iterator[None]:
        """Raise SlugError with the folder's name for an OSError inside the block."""
        try:
            yield
        except OSError as error:
            text = f"cannot keep slugs in {self.folder}: {error.strerror}"
            raise SlugError(text, hint=_HINTS.get(error.errno or 0)) from error
