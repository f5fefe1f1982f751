"""Find slugs that were unpacked before, and fetch and unpack the others."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from hsup.archives.digest import (
    Known,
    digest_of,
    expected_digest,
    file_key,
    is_settled,
    share_key,
    url_key,
)
from hsup.archives.errors import SlugError
from hsup.archives.location import Archive, ArchiveFile, ArchiveURL, Directory, find
from hsup.archives.progress import Progress, bar
from hsup.long_work import current
from hsup.slugs.directory import SlugDirectory, Unpacked
from hsup.slugs.rights import open_slug, read_directories

if TYPE_CHECKING:
    from hsup.api import Settings
    from hsup.model import Author, Slug


class SlugStore(SlugDirectory):
    """The slugs of this machine; those that it lacks are fetched and unpacked."""

    def __init__(self, settings: Settings, *, backoff_seconds: float = 0.5) -> None:
        """Read HSUP_SLUGS_*. Raises UsageError for an invalid value.

        A failed download is retried after 2 * `backoff_seconds`, then after 4 * `backoff_seconds`,
        and so on.
        """
        super().__init__(settings, backoff_seconds)
        self._current_directory = settings.directory
        self._allowed = read_directories(settings.environ)

    def unpack(
        self, slug: Slug, progress: Progress = bar, *, author: Author | None = None
    ) -> Unpacked:
        """Return a slug in use, downloaded and unpacked if the store lacks it; may block.

        A directory is used as it is. An archive with a checksum is read only if the store
        lacks its slug. Without a checksum, a file is read again if its size, its times or its
        inode have changed; for a URL the server is asked whether the archive has changed, and
        if it cannot be reached, the slug last downloaded is used. A slug that the author of
        the release may not read is not used; a checksum from that author is enough only once
        the author has named an archive with it. Raises SlugError, and GivenUp.
        """
        unpacked = self._unpacked(slug, progress, author)
        current().archive = unpacked.digest
        return unpacked

    def _unpacked(self, slug: Slug, progress: Progress, author: Author | None) -> Unpacked:
        location = find(slug.location, self._current_directory)
        if author is None or author.is_trusted:
            if isinstance(location, Directory):
                return self._directory_of(location.path, slug.inode)
            return self._unpack(location, slug, progress)
        if isinstance(location, ArchiveURL):
            return self._unpack(location, slug, progress, uid=author.uid)
        descriptor = self._open(location.path, author)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return _held(descriptor)
        try:
            file = ArchiveFile(location.path)
            return self._unpack(file, slug, progress, opened=descriptor, uid=author.uid)
        finally:
            os.close(descriptor)

    def _directory_of(self, path: str, inode: int | None) -> Unpacked:
        """Return a directory that is used as it is.

        It is used by its path, which may lead to another one later, unless the release was read
        from it: then it is held open. Raises SlugError if its path leads to another one already.
        """
        if inode is None:
            return Unpacked(path)
        descriptor = self._open(path, author=None)
        if os.fstat(descriptor).st_ino != inode:
            os.close(descriptor)
            text = f'slug "{path}" is no longer the directory that the release was read from'
            raise SlugError(
                text, hint="send SIGHUP to fetch the release again, or start hsup again"
            )
        return _held(descriptor)

    def _open(self, path: str, author: Author | None) -> int:
        try:
            return open_slug(path, author, self._allowed)
        except OSError as error:
            text = f'cannot read slug "{path}": {error.strerror}'
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
        """Return an archive's slug; `uid` is the user who must have the archive, None for any."""
        with self.failures_told():
            expected = expected_digest(slug.checksum)
            digest = expected or self.known_digest(archive, opened)
            if digest and uid is not None and not self.known.get(share_key(uid, digest)):
                digest = None  # this user has not had the archive yet
            unpacked = self.open(digest) if digest else None
            return unpacked or self._bring_in(archive, expected, progress, opened, uid)

    def digest_of(self, slug: Slug, *, author: Author | None = None) -> str | None:
        """Return the digest of an archive, None if it is not known.

        A file is read if it is not known, with the rights of the author of the release; no server
        is asked. May block. Raises SlugError, and GivenUp.
        """
        location = find(slug.location, self._current_directory)
        if isinstance(location, Directory):
            return None
        digest = expected_digest(slug.checksum) or self.known_digest(location)
        if digest is not None:
            return digest
        if isinstance(location, ArchiveURL):
            known = self.known.get(url_key(location.url))
            return known.digest if known else None
        descriptor = self._open(location.path, author)
        try:
            digest = digest_of(descriptor)
            if is_settled(status := os.fstat(descriptor)):
                with suppress(OSError):  # the store has not been made yet
                    self.known.put(file_key(status), Known(digest))
            return digest
        finally:
            os.close(descriptor)

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


def _held(descriptor: int) -> Unpacked:
    """Return a directory by its descriptor's path, which always leads to it, in any process."""
    name = f"/proc/{os.getpid()}/fd/{descriptor}"
    return Unpacked(name, descriptor=descriptor)
