"""Add an archive to the store: fetch it, verify it, unpack it, make room."""

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
from hsup.directories import make_directories
from hsup.locks import EXCLUSIVE_NOW, SHARED, lock, lock_or_make, unlock
from hsup.long_work import current
from hsup.slugs.collect import collect
from hsup.slugs.directory import SlugDirectory, Unpacked
from hsup.slugs.disk import mark
from hsup.slugs.rights import open_slug
from hsup.slugs.unpack import unpack

_logger = logging.getLogger(__name__)

#: How often to check whether another process uses a slug, and how long to wait in between.
_LOOKS, _LOOK_SECONDS = 50, 0.02


class Intake:
    """Adds archives to one store.

    With a `uid`, the archive itself has to be there: a user who only knows its checksum does
    not get a slug that another user added.
    """

    def __init__(self, store: SlugDirectory, progress: Progress, uid: int | None = None) -> None:
        self._store = store
        self._uid = uid
        self._progress = while_wanted(progress)

    def take(self, archive: Archive, expected: str | None, opened: int | None = None) -> Unpacked:
        """Return an archive's slug in use.

        `expected` is the digest that the archive must have, None for any. `opened` is the
        descriptor of a file that is open already. Raises SlugError, GivenUp, and OSError if
        the store cannot be written.
        """
        # Other users of the host get no access: slugs may contain config files and keys.
        make_directories(self._store.directory)
        for name in ("unpacked", "known", "work"):
            make_directories(os.path.join(self._store.directory, name))
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
        # With a checksum, the store may have had the slug, and the file was not read.
        if not expected and content.is_settled:
            self._remember(file_key(content.status), Known(content.digest))
        return unpacked

    def _take_url(self, archive: ArchiveURL, expected: str | None) -> Unpacked:
        # A user who has not had the archive must not resume a download from another URL.
        key = expected if expected and self._uid is None else url_key(archive.url)
        with self._working(f"fetch-{key}", is_resumable=True) as directory:
            if not expected:
                return self._refresh(archive, key, directory)
            # Another hsup may have added it meanwhile.
            unpacked = self._store.open(expected) if self._uid is None else None
            return unpacked or self._fetch(archive, directory, expected)

    def _refresh(self, archive: ArchiveURL, key: str, directory: str) -> Unpacked:
        """Return the slug of a URL, or its earlier one if the server cannot be reached."""
        known = self._store.known.get(key)
        earlier = self._store.open(known.digest) if known else None
        if not (known and earlier):
            return self._fetch(archive, directory)
        try:
            unpacked = self._fetch(archive, directory, unless=known.validator)
        except SlugUnchanged:
            return earlier
        except SlugUnreachable as error:
            _logger.warning("%s; using the slug that was downloaded before", error)
            return earlier
        except BaseException:
            earlier.close()
            raise
        earlier.close()
        return unpacked

    def _fetch(
        self,
        archive: ArchiveURL,
        directory: str,
        expected: str | None = None,
        unless: str | None = None,
    ) -> Unpacked:
        """Return the slug of a URL, downloaded.

        Raises SlugUnchanged if the server's validator still is `unless`; with `unless` there
        is one try only, without it there are several.
        """
        # This imports requests, which takes as long as all the rest of `hsup run`.
        from hsup.archives.download import Download

        limits = self._store.limits
        download = Download(
            archive, directory, self._progress, max_bytes=limits.size, min_rate=limits.rate
        )
        download.run(unless, backoff_seconds=self._store.backoff_seconds)
        with self._read(archive, download.path, expected) as content:
            unpacked = self._open_or_unpack(archive, content)
        if not expected:
            self._remember(url_key(archive.url), Known(content.digest, download.validator))
        return unpacked

    def _remember(self, key: str, known: Known) -> None:
        """Note a digest so that the archive is not read again; log a failure."""
        try:
            self._store.known.put(key, known)
        except OSError as error:
            directory = self._store.directory
            text = 'cannot record the checksum of a slug in "%s": %s'
            _logger.warning(text, directory, error.strerror)

    @contextmanager
    def _read(
        self, archive: Archive, path: str, expected: str | None, opened: int | None = None
    ) -> Iterator[_Content]:
        """Open an archive during the block, and yield it with its digest. Raises SlugError.

        The digest is computed if none is expected, or if a user must have the archive. In any
        case the digest of the bytes that are unpacked is compared with it: until then the
        author of a file may change it, without a trace if it is mapped into memory.
        """
        with ExitStack() as undo:
            try:
                if opened is None:
                    opened = open_slug(path, None)
                    undo.callback(os.close, opened)
                status = os.fstat(opened)
                _require_size(archive, status, self._store.limits)
                settled = is_settled(status)  # before the file is read
                may_have_any = self._uid is None
                digest = expected if expected and may_have_any else digest_of(opened)
            except OSError as error:
                text = f'cannot read slug "{archive}": {error.strerror}'
                raise SlugError(text, hint="check the path") from error
            content = _Content(
                descriptor=opened,
                status=status,
                digest=expected or digest,
                is_settled=settled,
                is_expected=bool(expected),
            )
            _require_digest(archive, content, digest)
            yield content

    def _open_or_unpack(self, archive: Archive, content: _Content) -> Unpacked:
        """Return the slug of an open archive, in use."""
        with self._working(content.digest) as directory:
            unpacked = self._store.open(content.digest)
            if unpacked:
                return unpacked
            unpacked = self._unpack(archive, content, directory)
        try:
            collect(self._store.directory, self._store.keep)
        except OSError as error:
            _logger.warning('cannot remove old slugs from "%s": %s', self._store.directory, error)
        except BaseException:
            unpacked.close()
            raise
        return unpacked

    def _unpack(self, archive: Archive, content: _Content, directory: str) -> Unpacked:
        new = os.path.join(directory, "slug")
        make_directories(new)
        name = current().slug or os.path.basename(str(archive))
        path = f"/proc/self/fd/{content.descriptor}"
        try:
            with _named(archive):
                outcome = unpack(path, new, self._store.limits, self._progress, name)
        except SlugError:
            if content.is_expected:  # it may be another archive, which explains the failure
                _require_digest(archive, content, digest_of(path))
            raise
        _require_digest(archive, content, outcome.digest)
        with open(os.path.join(new, "size"), "w", encoding="ascii") as file:
            file.write(f"{outcome.size}\n")
        path = os.path.join(self._store.directory, "unpacked", content.digest)
        # Locked before others can see it, so that none of them collects it.
        descriptor = lock(new, SHARED)
        try:
            mark(descriptor)
            if not _is_in_use(path, os.path.join(directory, "lost")):
                os.rename(new, path)
                return self._store.in_use(path, descriptor)
        except BaseException:
            unlock(descriptor)
            raise
        unlock(descriptor)
        return self._store.in_use(path, lock(path, SHARED))

    @contextmanager
    def _working(self, name: str, *, is_resumable: bool = False) -> Iterator[str]:
        """Keep others from doing the same work during the block; yield a directory for it.

        The directory is removed at the end, or by a sweep if this process is killed. Only a
        download that broke off, or was given up, is kept.
        """
        path = os.path.join(self._store.directory, "work", name)
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
                # A later sweep removes it; the slug can be used all the same.
                _logger.warning('cannot remove "%s": %s', path, error.strerror)
            finally:
                unlock(descriptor)


def _is_in_use(path: str, lost: str) -> bool:
    """Tell whether a slug is in use; if not, a power cut left it incomplete: move it to `lost`.

    A slug in use is whole: its user sees another boot id, as in a container.
    """
    for _ in range(_LOOKS):
        try:
            descriptor = lock(path, EXCLUSIVE_NOW)
        except FileNotFoundError:
            return False
        except BlockingIOError:  # another process may only be checking it
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
    """An open file, its status when it was opened, and the digest that its content must have.

    `is_expected` says that the digest is the release's, not computed from the file.
    `is_settled` says that any change after the file was opened gives it other times.
    """

    descriptor: int
    status: os.stat_result
    digest: str
    is_settled: bool
    is_expected: bool


def _require_digest(archive: Archive, content: _Content, digest: str) -> None:
    """Raise SlugError for an archive that does not have the digest that it must have."""
    if digest == content.digest:
        return
    if content.is_expected:
        hint = f'check "{archive}": it is damaged, or not the archive that the release needs'
        raise ChecksumError(content.digest, digest, hint=hint)
    text = f'slug "{archive}" changed while hsup was reading it'
    raise SlugError(text, hint="start again when it is complete")


def _require_size(archive: Archive, status: os.stat_result, limits: Limits) -> None:
    """Raise SlugError for an archive that is not a file, is empty, or is too large to unpack."""
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        reason = "empty" if stat.S_ISREG(status.st_mode) else "neither a file nor a directory"
        raise SlugError(f'slug "{archive}" is {reason}', hint="give the path of a tar archive")
    if status.st_size > limits.size:
        text = f'slug "{archive}" has {status.st_size} bytes, more than the limit of {limits.size}'
        raise HostileSlug(text, hint=f"raise {MAX_SIZE} if you trust the archive")


def _empty(directory: str) -> None:
    """Remove what a previous hsup left in a directory."""
    for entry in os.scandir(directory):
        shutil.rmtree(entry.path)


@contextmanager
def _named(archive: Archive) -> Iterator[None]:
    """Name the slug in a SlugError raised inside the block."""
    try:
        yield
    except SlugError as error:
        text = f'cannot unpack slug "{archive}": {error.args[0]}'
        raise type(error)(text, hint=error.hint) from error
