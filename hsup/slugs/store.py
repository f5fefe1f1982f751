"""Find slugs that were unpacked before, and have those brought in that were not.

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
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from hsup.slugs.digest import KnownDigests, expected_digest, file_key, share_key, url_key
from hsup.slugs.disk import is_synced, is_whole
from hsup.slugs.errors import SlugError
from hsup.slugs.limits import read_keep, read_limits
from hsup.slugs.location import Archive, ArchiveFile, ArchiveURL, Folder, find
from hsup.slugs.lock import SHARED, lock, unlock
from hsup.slugs.progress import Progress, bar
from hsup.slugs.rights import open_slug, read_folders

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from hsup.api import Settings
    from hsup.model import Author, Slug

SLUGS_DIR = "HSUP_SLUGS_DIR"
DEFAULT_DIR = "/var/lib/hsup/slugs"

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
            return os.path.samestat(os.stat(self._found_at), os.fstat(self._descriptor))
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


class SlugStore:
    """The slugs of this machine; any number of processes and threads may use it at once."""

    def __init__(self, settings: Settings, *, backoff_seconds: float = 0.5) -> None:
        """Read HSUP_SLUGS_*; raise UsageError for a value that makes no sense.

        A download that fails is tried again after twice `backoff_seconds`, then
        four times, and so on.
        """
        self._current_folder = settings.folder
        folder = settings.environ.get(SLUGS_DIR) or DEFAULT_DIR
        self.folder = os.path.join(settings.folder, folder)
        self.keep = read_keep(settings.environ)
        self.limits = read_limits(settings.environ)
        self._allowed = read_folders(settings.environ)
        self.backoff_seconds = backoff_seconds
        self.known = KnownDigests(os.path.join(self.folder, "known"))
        self._unsynced: set[str] = set()
        self._syncing = Lock()

    def unpack(
        self, slug: Slug, progress: Progress = bar, *, author: Author | None = None
    ) -> Unpacked:
        """Return a slug in use, downloaded and unpacked if it is not yet; may block.

        A folder is used as it is. An archive whose checksum is given is read
        only if the store has not got it. Without a checksum a file is read again
        when its size, its times or its inode have changed; of a URL the server
        is asked whether it has changed, and where it cannot be reached, what was
        last downloaded is used. What the author of the release could not read is
        not used; nor is a checksum of his enough, until he has named an archive once that has
        it. Raises SlugError, and GivenUp.
        """
        place = find(slug.location, self._current_folder)
        if author is None or author.is_trusted:
            if isinstance(place, Folder):
                return Unpacked(place.path)
            return self._unpack(place, slug, progress)
        if isinstance(place, ArchiveURL):
            return self._unpack(place, slug, progress, uid=author.uid)
        descriptor = self._open(place.path, author)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            # By this name every process of hsup's finds what was opened, and nothing else.
            name = f"/proc/{os.getpid()}/fd/{descriptor}"
            return Unpacked(name, descriptor=descriptor, found_at=place.path)
        try:
            file = ArchiveFile(place.path)
            return self._unpack(file, slug, progress, opened=descriptor, uid=author.uid)
        finally:
            os.close(descriptor)

    def _open(self, path: str, author: Author | None) -> int:
        try:
            return open_slug(path, author, self._allowed)
        except OSError as error:
            text = f"cannot read slug {path}: {error.strerror}"
            raise SlugError(text, hint="check the path") from error

    def _unpack(
        self,
        archive: Archive,
        slug: Slug,
        progress: Progress,
        *,
        opened: int | None = None,
        uid: int | None = None,
    ) -> Unpacked:
        """Return an archive's slug; `uid` is who has to have it, None for who may have any."""
        with self._failures_told():
            expected = expected_digest(slug.checksum)
            digest = expected or self._known_digest(archive, opened)
            if digest and uid is not None and not self.known.get(share_key(uid, digest)):
                digest = None  # he has yet to show that he has it
            unpacked = self.open(digest) if digest else None
            return unpacked or self._bring_in(archive, expected, progress, opened, uid)

    def digest_of(self, slug: Slug) -> str | None:
        """Return the digest of an archive that is in the store, None where that is not known.

        Neither the archive is read for it nor a server asked. Raises SlugError.
        """
        place = find(slug.location, self._current_folder)
        if isinstance(place, Folder):
            return None
        digest = expected_digest(slug.checksum) or self._known_digest(place)
        if digest is None and isinstance(place, ArchiveURL):
            known = self.known.get(url_key(place.url))
            digest = known.digest if known else None
        unpacked = self.open(digest) if digest else None
        if unpacked is None:
            return None
        unpacked.close()
        return digest

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

    def sweep(self) -> list[str]:
        """Remove what hsups that are no more have left half done; say what it was."""
        work = os.path.join(self.folder, "work")
        with self._failures_told():
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

    def _known_digest(self, archive: Archive, opened: int | None = None) -> str | None:
        """Return the digest of a file that has not changed since it was last read."""
        if not isinstance(archive, ArchiveFile):
            return None
        try:
            found = os.stat(archive.path if opened is None else opened)
        except OSError:
            return None  # who reads it says why
        known = self.known.get(file_key(found))
        return known.digest if known else None

    def _bring_in(
        self,
        archive: Archive,
        expected: str | None,
        progress: Progress,
        opened: int | None,
        uid: int | None,
    ) -> Unpacked:
        from hsup.slugs.intake import Intake

        return Intake(self, progress, uid).take(archive, expected, opened)

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            text = f"cannot keep slugs in {self.folder}: {error.strerror}"
            raise SlugError(text, hint=_HINTS.get(error.errno or 0)) from error
