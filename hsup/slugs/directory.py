"""The directory of unpacked slugs: which ones it has, which are in use, which are on the disk.

    /var/lib/hsup/slugs/
        unpacked/DIGEST/app     what was under ./app/ of the archive with that SHA-256
        unpacked/DIGEST/size    the bytes of its files
        unpacked/DIGEST/boot    and `synced`: see `disk`
        known/KEY               the digest of an archive file or URL, or of one that a user has
        work/DIGEST/            where an archive is being unpacked
        work/fetch-KEY/         where an archive is being downloaded

A directory of `unpacked` appears whole, by a rename, and its `app` is never changed; one
that a power cut has left incomplete is replaced. An hsup that uses it holds a shared lock
on it; an hsup that works in a directory of `work` holds an exclusive lock on that. So a
directory of `work` without a lock is a leftover.
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
from hsup.directories import SYSTEM_STATE
from hsup.locks import SHARED, lock, unlock
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
    errno.EROFS: f"set {SLUGS_DIR} to a writable directory",
    errno.EACCES: f"run hsup as root, or set {SLUGS_DIR} to a directory of your own",
    errno.EPERM: f"run hsup as root, or set {SLUGS_DIR} to a directory of your own",
}


class Unpacked:
    """A slug in use: no hsup collects it until it is closed.

    `directory` is what a dyno sees as /app. It is the same for all dynos, and must not be
    written to. Its symbolic links are not to be trusted: resolve none of them on the host.
    `digest` is the archive's SHA-256 in hexadecimal digits, None for a directory that is used
    as it is. A directory that not every author may name is held open, and `directory` is the path
    of its descriptor, `/proc/PID/fd/N`.
    """

    def __init__(
        self,
        directory: str,
        digest: str | None = None,
        descriptor: int | None = None,
    ) -> None:
        self.directory = directory
        self.digest = digest
        self._descriptor = descriptor

    def close(self) -> None:
        """End the use of the slug; may be called more than once."""
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


class SlugDirectory:
    """The unpacked slugs of this machine; any number of processes and threads may use it."""

    def __init__(self, settings: Settings, backoff_seconds: float) -> None:
        """Read HSUP_SLUGS_*. Raises UsageError for an invalid value."""
        directory = settings.environ.get(SLUGS_DIR) or DEFAULT_DIR
        self.directory = os.path.join(settings.directory, directory)
        self.keep = read_keep(settings.environ)
        self.limits = read_limits(settings.environ)
        self.backoff_seconds = backoff_seconds
        self.known = KnownDigests(os.path.join(self.directory, "known"))
        self._unsynced: set[str] = set()
        self._syncing = Lock()

    def open(self, digest: str) -> Unpacked | None:
        """Return a slug in use, None if it is not in the store or not whole."""
        path = os.path.join(self.directory, "unpacked", digest)
        try:
            descriptor = lock(path, SHARED)
        except FileNotFoundError:
            return None
        try:
            if not is_whole(descriptor):
                unlock(descriptor)
                return None
            os.utime(descriptor)  # the time of its last use, by which slugs are collected
            return self.in_use(path, descriptor)
        except OSError:
            unlock(descriptor)
            raise

    def in_use(self, path: str, descriptor: int) -> Unpacked:
        """Return the slug in a whole directory; `descriptor` has a shared lock on it."""
        if not is_synced(descriptor):
            self._unsynced.add(path)
        return Unpacked(os.path.join(path, "app"), os.path.basename(path), descriptor)

    def known_digest(self, archive: Archive, opened: int | None = None) -> str | None:
        """Return the digest of a file that has not changed since it was last read."""
        if not isinstance(archive, ArchiveFile):
            return None
        try:
            status = os.stat(archive.path if opened is None else opened)
        except OSError:
            return None  # reading the archive raises the error
        known = self.known.get(file_key(status))
        return known.digest if known else None

    def sweep(self) -> list[str]:
        """Remove incomplete slugs of previous hsups; return a description of each."""
        work = os.path.join(self.directory, "work")
        with self.failures_told():
            if not os.path.isdir(work) or not os.listdir(work):
                return []
            from hsup.slugs.collect import sweep

            return [f"incomplete slug {name}" for name in sweep(work)]

    @property
    def has_unsynced(self) -> bool:
        """Tell whether there is something for `sync` to do."""
        return bool(self._unsynced)

    def sync(self) -> None:
        """Wait until all slugs that were used are on the disk.

        Until then a power cut undoes their unpacking. This blocks: call it in a thread while
        dynos run, and once more at the end.
        """
        if not self._unsynced and not self._syncing.locked():
            return
        from hsup.slugs.sync import sync

        with self._syncing:
            untried = set()
            while self._unsynced:
                directory = self._unsynced.pop()
                if not sync(directory):
                    untried.add(directory)
            self._unsynced |= untried

    @contextmanager
    def failures_told(self) -> Iterator[None]:
        """Raise SlugError with the directory's name for an OSError inside the block."""
        try:
            yield
        except OSError as error:
            text = f'cannot store slugs in "{self.directory}": {error.strerror}'
            raise SlugError(text, hint=_HINTS.get(error.errno or 0)) from error
