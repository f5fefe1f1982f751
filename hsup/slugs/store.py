"""Find slugs that were unpacked before, and have those brought in that were not."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from hsup.archives.digest import expected_digest, share_key, url_key
from hsup.archives.errors import SlugError
from hsup.archives.location import Archive, ArchiveFile, ArchiveURL, Folder, find
from hsup.archives.progress import Progress, bar
from hsup.slugs.folder import SlugFolder, Unpacked
from hsup.slugs.rights import open_slug, read_folders

if TYPE_CHECKING:
    from hsup.api import Settings
    from hsup.model import Author, Slug


class SlugStore(SlugFolder):
    """The slugs of this machine, brought in where they are not there yet."""

    def __init__(self, settings: Settings, *, backoff_seconds: float = 0.5) -> None:
        """Read HSUP_SLUGS_*; raise UsageError for a value that makes no sense.

        A download that fails is tried again after twice `backoff_seconds`, then
        four times, and so on.
        """
        super().__init__(settings, backoff_seconds)
        self._current_folder = settings.folder
        self._allowed = read_folders(settings.environ)

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
                return self._folder_of(place.path, slug.inode)
            return self._unpack(place, slug, progress)
        if isinstance(place, ArchiveURL):
            return self._unpack(place, slug, progress, uid=author.uid)
        descriptor = self._open(place.path, author)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return _held(descriptor, place.path)
        try:
            file = ArchiveFile(place.path)
            return self._unpack(file, slug, progress, opened=descriptor, uid=author.uid)
        finally:
            os.close(descriptor)

    def _folder_of(self, path: str, inode: int | None) -> Unpacked:
        """Return a folder that is used as it is: by its path, which may lead elsewhere later.

        One that the release itself was read from stays the same. Raises SlugError where another
        has its path already.
        """
        if inode is None:
            return Unpacked(path)
        descriptor = self._open(path, author=None)
        if os.fstat(descriptor).st_ino != inode:
            os.close(descriptor)
            raise SlugError(f"{path} is another folder than the release was read from")
        return _held(descriptor, path)

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
        with self.failures_told():
            expected = expected_digest(slug.checksum)
            digest = expected or self.known_digest(archive, opened)
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
        digest = expected_digest(slug.checksum) or self.known_digest(place)
        if digest is None and isinstance(place, ArchiveURL):
            known = self.known.get(url_key(place.url))
            digest = known.digest if known else None
        unpacked = self.open(digest) if digest else None
        if unpacked is None:
            return None
        unpacked.close()
        return digest

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


def _held(descriptor: int, path: str) -> Unpacked:
    """Return a folder by the name that every process of hsup's finds it by, and nothing else."""
    name = f"/proc/{os.getpid()}/fd/{descriptor}"
    return Unpacked(name, descriptor=descriptor, found_at=path)
