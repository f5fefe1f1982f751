"""Bring an archive into the store: fetch, verify, unpack, make room."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from hsup.archives.digest import Known, digest_of, file_key, is_settled, share_key, url_key
from hsup.archives.errors import (
    ChecksumError,
    HostileSlug,
    SlugError,
    SlugUnchanged,
    SlugUnreachable,
)
from hsup.archives.limits import MAX_SIZE, Limits
from hsup.archives.location import Archive, ArchiveFile, ArchiveURL
from hsup.archives.progress import Progress, tell_of_waiting, while_wanted
from hsup.cancellation import GivenUp
from hsup.folders import make_folders
from hsup.locks import EXCLUSIVE_NOW, SHARED, lock, lock_or_make, unlock
from hsup.long_work import current
from hsup.slugs.collect import collect
from hsup.slugs.disk import mark
from hsup.slugs.folder import SlugFolder, Unpacked
from hsup.slugs.rights import open_slug
from hsup.slugs.unpack import unpack

_logger = logging.getLogger(__name__)

#: How often to look whether somebody uses a slug, and for how long to wait between.
_LOOKS, _LOOK_SECONDS = 50, 0.02


class Intake:
    """Brings archives into one store.

    With a `uid`, a slug is used only of an archive that is there: who knows no more than its
    checksum gets nothing that the store has of others.
    """

    def __init__(self, store: SlugFolder, progress: Progress, uid: int | None = None) -> None:
        self._store = store
        self._uid = uid
        self._progress = while_wanted(progress)

    def take(self, archive: Archive, expected: str | None, opened: int | None = None) -> Unpacked:
        """Return an archive's slug in use.

        `expected` is the digest that the archive must have, None for any. `opened` is the
        descriptor of a file that is open already. Raises SlugError, GivenUp, and OSError where
        the store cannot be written.
        """
        # Not for other users of the host: config files and keys lie about in slugs.
        make_folders(self._store.folder)
        for name in ("unpacked", "known", "work"):
            make_folders(os.path.join(self._store.folder, name))
        if isinstance(archive, ArchiveFile):
            unpacked = self._take_file(archive, expected, opened)
        else:
            unpacked = self._take_url(archive, expected)
        if self._uid is not None and unpacked.digest:
            self._remember(share_key(self._uid, unpacked.digest), Known(unpacked.digest))
        return unpacked

    def _take_file(
        self, archive: ArchiveFile, expected: str | None, opened: int | None
    ) -> Unpacked:
        with self._read(archive, archive.path, expected, opened) as content:
            unpacked = self._open_or_unpack(archive, content)
        # Of what has a checksum the store may have had the slug, and nothing was read.
        if not expected and content.is_settled:
            self._remember(file_key(content.found), Known(content.digest))
        return unpacked

    def _take_url(self, archive: ArchiveURL, expected: str | None) -> Unpacked:
        # What came from another URL is not to be gone on with for who has not shown to have it.
        key = expected if expected and self._uid is None else url_key(archive.url)
        with self._working(f"fetch-{key}", is_resumable=True) as folder:
            if not expected:
                return self._refresh(archive, key, folder)
            # Another hsup may have brought it meanwhile.
            unpacked = self._store.open(expected) if self._uid is None else None
            return unpacked or self._fetch(archive, folder, expected)

    def _refresh(self, archive: ArchiveURL, key: str, folder: str) -> Unpacked:
        """Return what a URL leads to now, or led to before if its server cannot be reached."""
        known = self._store.known.get(key)
        earlier = self._store.open(known.digest) if known else None
        if not (known and earlier):
            return self._fetch(archive, folder)
        try:
            unpacked = self._fetch(archive, folder, unless=known.validator)
        except SlugUnchanged:
            return earlier
        except SlugUnreachable as error:
            _logger.warning("%s; the slug that it led to before is used", error)
            return earlier
        except BaseException:
            earlier.close()
            raise
        earlier.close()
        return unpacked

    def _fetch(
        self,
        archive: ArchiveURL,
        folder: str,
        expected: str | None = None,
        unless: str | None = None,
    ) -> Unpacked:
        """Return the slug of a URL, downloaded unless its server's validator is still the same.

        Raises SlugUnchanged where it is, after one try; without one there are several.
        """
        # It imports requests, which takes as long as all the rest of `hsup run`.
        from hsup.archives.download import Download

        limits = self._store.limits
        download = Download(
            archive, folder, self._progress, max_bytes=limits.size, min_rate=limits.rate
        )
        download.run(unless, backoff_seconds=self._store.backoff_seconds)
        with self._read(archive, download.path, expected) as content:
            unpacked = self._open_or_unpack(archive, content)
        if not expected:
            self._remember(url_key(archive.url), Known(content.digest, download.validator))
        return unpacked

    def _remember(self, key: str, known: Known) -> None:
        """Have an archive not read again: without it the slug can be used as well."""
        try:
            self._store.known.put(key, known)
        except OSError as error:
            folder = self._store.folder
            _logger.warning("cannot note a slug's checksum in %s: %s", folder, error.strerror)

    @contextmanager
    def _read(
        self, archive: Archive, path: str, expected: str | None, opened: int | None = None
    ) -> Iterator[_Content]:
        """Lend an archive open, with the digest that it has to have. Raises SlugError.

        That is computed where none is expected, or somebody has to have it. Else only what is
        unpacked is compared with it: until then the author of a file may change it, without a
        trace where he has it mapped.
        """
        with ExitStack() as undo:
            try:
                if opened is None:
                    opened = open_slug(path, None)
                    undo.callback(os.close, opened)
                found = os.fstat(opened)
                _require_size(archive, found, self._store.limits)
                settled = is_settled(found)  # before it is read
                may_have_any = self._uid is None
                digest = expected if expected and may_have_any else digest_of(opened)
            except OSError as error:
                text = f"cannot read slug {archive}: {error.strerror}"
                raise SlugError(text, hint="check the path") from error
            content = _Content(
                descriptor=opened,
                found=found,
                digest=expected or digest,
                is_settled=settled,
                is_expected=bool(expected),
            )
            _require_digest(archive, content, digest)
            yield content

    def _open_or_unpack(self, archive: Archive, content: _Content) -> Unpacked:
        """Return the slug of an archive that was read, in use."""
        with self._working(content.digest) as folder:
            unpacked = self._store.open(content.digest)
            if unpacked:
                return unpacked
            unpacked = self._unpack(archive, content, folder)
        try:
            collect(self._store.folder, self._store.keep)
        except OSError as error:
            _logger.warning("cannot collect slugs in %s: %s", self._store.folder, error)
        except BaseException:
            unpacked.close()
            raise
        return unpacked

    def _unpack(self, archive: Archive, content: _Content, folder: str) -> Unpacked:
        new = os.path.join(folder, "slug")
        make_folders(new)
        name = current().slug or os.path.basename(str(archive))
        path = f"/proc/self/fd/{content.descriptor}"
        try:
            with _named(archive):
                outcome = unpack(path, new, self._store.limits, self._progress, name)
        except SlugError:
            if content.is_expected:  # why it cannot be unpacked may be that it is another
                _require_digest(archive, content, digest_of(path))
            raise
        _require_digest(archive, content, outcome.digest)
        with open(os.path.join(new, "size"), "w", encoding="ascii") as file:
            file.write(f"{outcome.size}\n")
        path = os.path.join(self._store.folder, "unpacked", content.digest)
        # Locked before it is there for others, so that none can collect it.
        descriptor = lock(new, SHARED)
        try:
            mark(descriptor)
            if not _is_in_use(path, os.path.join(folder, "lost")):
                os.rename(new, path)
                return self._store.in_use(path, descriptor)
        except BaseException:
            unlock(descriptor)
            raise
        unlock(descriptor)
        return self._store.in_use(path, lock(path, SHARED))

    @contextmanager
    def _working(self, name: str, *, is_resumable: bool = False) -> Iterator[str]:
        """Keep others from the same work meanwhile; yield a folder for it.

        The folder is removed in the end, or the next time if this process is
        killed. Only what was downloaded until the network failed, or it was given up, is kept.
        """
        path = os.path.join(self._store.folder, "work", name)
        descriptor = lock_or_make(path, on_wait=tell_of_waiting)
        is_done = True
        try:
            if not is_resumable:
                _empty(path)
            yield path
        except (SlugUnreachable, GivenUp, KeyboardInterrupt):
            is_done = not is_resumable
            raise
        finally:
            try:
                if is_done:
                    shutil.rmtree(path)
            except OSError as error:
                # It is removed the next time; what has been done is not undone by it.
                _logger.warning("cannot remove %s: %s", path, error.strerror)
            finally:
                unlock(descriptor)


def _is_in_use(path: str, lost: str) -> bool:
    """Move what a power cut has left of a slug to `lost`; tell whether somebody uses it instead.

    Then it is whole, and the user one that knows another boot's id, as in a container.
    """
    for _ in range(_LOOKS):
        try:
            descriptor = lock(path, EXCLUSIVE_NOW)
        except FileNotFoundError:
            return False
        except BlockingIOError:  # maybe by somebody who is just looking at it
            time.sleep(_LOOK_SECONDS)
            continue
        try:
            os.rename(path, lost)
        finally:
            unlock(descriptor)
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """An open file as it was found, and the digest of what has to be in it.

    `is_expected` tells that the digest is the release's, else it is the file's own.
    `is_settled` tells that whatever changes the file later than it was found gives it other times.
    """

    descriptor: int
    found: os.stat_result
    digest: str
    is_settled: bool
    is_expected: bool


def _require_digest(archive: Archive, content: _Content, digest: str) -> None:
    """Raise SlugError for an archive that was read with another digest than it has to have."""
    if digest == content.digest:
        return
    if content.is_expected:
        hint = f"{archive} is another archive than the release was made with, or damaged"
        raise ChecksumError(content.digest, digest, hint=hint)
    text = f"slug {archive} was changed while it was read"
    raise SlugError(text, hint="start again when it is complete")


def _require_size(archive: Archive, found: os.stat_result, limits: Limits) -> None:
    """Raise SlugError for what need not be read to know that it is no archive to unpack."""
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        kind = "empty" if stat.S_ISREG(found.st_mode) else "neither a file nor a directory"
        raise SlugError(f"slug {archive} is {kind}", hint="give the path of a tar archive")
    if found.st_size > limits.size:
        text = f"slug {archive} has {found.st_size} bytes, more than the limit of {limits.size}"
        raise HostileSlug(text, hint=f"if you trust it, set {MAX_SIZE} to more")


def _empty(folder: str) -> None:
    """Remove what an hsup has left that was killed."""
    for entry in os.scandir(folder):
        shutil.rmtree(entry.path)


@contextmanager
def _named(archive: Archive) -> Iterator[None]:
    """Say which slug it is that cannot be unpacked."""
    try:
        yield
    except SlugError as error:
        text = f"cannot unpack slug {archive}: {error.args[0]}"
        raise type(error)(text, hint=error.hint) from error
