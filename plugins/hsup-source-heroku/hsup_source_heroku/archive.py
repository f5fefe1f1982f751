"""Download the archives of slugs, whose URLs expire, to disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from hsup.archives.digest import digest_of, expected_digest
from hsup.archives.download import Download
from hsup.archives.limits import Limits
from hsup.archives.location import ArchiveURL, shown_url
from hsup.archives.progress import bar, tell_of_waiting
from hsup.cancellation import GivenUp
from hsup.durable import rename_durably, sync
from hsup.errors import SourceError
from hsup.locks import EXCLUSIVE_NOW, lock, lock_or_make, unlock
from hsup.slugs import ChecksumError, SlugDenied, SlugUnreachable
from hsup_source_heroku.snapshot import Artifact

_BACKOFF_SECONDS = 0.5
#: How often a new URL is asked for if one expires during the download.
_ATTEMPTS = 3


class Archives:
    """A directory of archives, by the ids of their slugs."""

    def __init__(self, directory: str, url_of: Callable[[str], str], limits: Limits) -> None:
        self._directory = directory
        self._url_of = url_of
        self._limits = limits

    def path(self, part: Artifact) -> str:
        """Return the path of a slug's archive, whether or not it exists."""
        return os.path.join(self._directory, f"{os.path.basename(part.id)}.tgz")

    def has(self, part: Artifact) -> bool:
        """Tell whether the archive of a slug exists."""
        return os.path.exists(self.path(part))

    @contextmanager
    def downloaded(self, part: Artifact) -> Iterator[Callable[[], None]]:
        """Download and verify an archive; yield a function that moves it to its path.

        If the network fails, or the download is given up, what has arrived is kept. Raises
        SlugError, GivenUp, SourceError if there is no URL, and OSError if it cannot be written.
        """
        expected, work = expected_digest(part.checksum), f"{self.path(part)}.part"
        descriptor = lock_or_make(work, on_wait=tell_of_waiting)
        is_done = True
        try:
            if self.has(part):  # another hsup has downloaded it meanwhile
                yield _nothing
                return
            archive = os.path.join(work, "archive")
            self._download(part, work)
            _verify(expected, archive)
            os.chmod(archive, 0o600)
            sync(archive)
            yield lambda: self._place(archive, part)
        except (SourceError, SlugDenied, SlugUnreachable, GivenUp, KeyboardInterrupt):
            is_done = False
            raise
        finally:
            if is_done:
                shutil.rmtree(work, ignore_errors=True)
            unlock(descriptor)

    def keep_only(self, parts: Iterable[Artifact]) -> None:
        """Remove the archives of all other slugs, except those that are being downloaded."""
        kept = {os.path.basename(self.path(part)) for part in parts}
        for name in set(os.listdir(self._directory)) - kept:
            path = os.path.join(self._directory, name)
            if os.path.isdir(path):
                _remove_unless_locked(path)
            else:
                os.unlink(path)

    def _place(self, archive: str, part: Artifact) -> None:
        rename_durably(archive, self.path(part))

    def _download(self, part: Artifact, work: str) -> None:
        limits = self._limits
        for left in reversed(range(_ATTEMPTS)):
            url = self._url_of(part.id)
            shown = f"{shown_url(url).rpartition('/')[0]}/{part.id}"
            archive = ArchiveURL(url, shown)
            download = Download(archive, work, bar, max_bytes=limits.size, min_rate=limits.rate)
            try:
                download.run(None, backoff_seconds=_BACKOFF_SECONDS)
            except SlugDenied:  # the URL has expired
                if not left:
                    raise
            else:
                return


def _remove_unless_locked(path: str) -> None:
    """Remove an unfinished download, unless an hsup is continuing it."""
    try:
        descriptor = lock(path, EXCLUSIVE_NOW)
    except (BlockingIOError, FileNotFoundError):
        return
    shutil.rmtree(path, ignore_errors=True)
    unlock(descriptor)


def _verify(expected: str | None, path: str) -> None:
    """Raise ChecksumError if an archive does not have the expected digest."""
    if expected is None:
        return
    actual = digest_of(path)
    if actual != expected:
        raise ChecksumError(expected, actual, hint="build the slug again on Heroku")


def _nothing() -> None:
    """Do nothing, as the archive is at its path already."""
