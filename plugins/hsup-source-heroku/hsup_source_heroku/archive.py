"""Have the archives of slugs on disk, where their URLs cannot expire."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable

from hsup.errors import SourceError
from hsup.folders import make_folders
from hsup.slugs import ChecksumError, HostileSlug, SlugDenied, SlugError
from hsup.slugs.digest import digest_of, expected_digest
from hsup.slugs.download import Download
from hsup.slugs.location import ArchiveURL, shown_url
from hsup.slugs.progress import bar
from hsup_source_heroku.snapshot import Part

_BACKOFF_SECONDS = 0.5
#: A URL that expires while it is used is asked for again so often.
_ATTEMPTS = 3


class Archives:
    """A folder of archives, by the ids of their slugs."""

    def __init__(self, folder: str, url_of: Callable[[str], str]) -> None:
        self._folder = folder
        self._url_of = url_of

    def path(self, part: Part) -> str:
        """Return where the archive of a slug is, or would be."""
        return os.path.join(self._folder, f"{os.path.basename(part.id)}.tgz")

    def obtain(self, part: Part, max_bytes: int) -> None:
        """Have an archive that is complete and what the platform built.

        Raises SourceError where it cannot be had for now, SlugError where it is another or too
        large, OSError where it cannot be written.
        """
        expected, path = expected_digest(part.checksum), self.path(part)
        if os.path.exists(path):
            return
        work = f"{path}.part"
        make_folders(work)
        try:
            self._download(part, work, max_bytes)
            _verify(expected, os.path.join(work, "archive"))
        except SlugError:
            shutil.rmtree(work)
            raise
        sync(os.path.join(work, "archive"))
        os.chmod(os.path.join(work, "archive"), 0o600)
        os.replace(os.path.join(work, "archive"), path)
        shutil.rmtree(work, ignore_errors=True)
        sync(self._folder)

    def keep_only(self, parts: Iterable[Part]) -> None:
        """Remove the archives of all other slugs."""
        kept = {os.path.basename(self.path(part)) for part in parts}
        for name in set(os.listdir(self._folder)) - kept:
            path = os.path.join(self._folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)

    def _download(self, part: Part, work: str, max_bytes: int) -> None:
        for left in reversed(range(_ATTEMPTS)):
            url = self._url_of(part.id)
            try:
                shown = f"{shown_url(url).rpartition('/')[0]}/{part.id}"
                download = Download(ArchiveURL(url, shown), work, bar, max_bytes=max_bytes)
                download.run(None, backoff_seconds=_BACKOFF_SECONDS)
            except SlugDenied as error:  # it has expired
                if not left:
                    raise SourceError(str(error)) from error
            except HostileSlug:
                raise
            except SlugError as error:
                raise SourceError(str(error)) from error
            else:
                return


def _verify(expected: str | None, path: str) -> None:
    """Raise ChecksumError for the archive of another slug."""
    if expected is None:
        return
    actual = digest_of(path)
    if actual != expected:
        raise ChecksumError(expected, actual, hint="build the slug again on the platform")


def sync(path: str) -> None:
    """Return when a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
