"""The releases on disk with which hsup starts while the API cannot be reached.

/var/lib/hsup/heroku/HOST/APP/newest.json      the snapshot that was fetched last, with its config
/var/lib/hsup/heroku/HOST/APP/running.json     the snapshot that was accepted last
/var/lib/hsup/heroku/HOST/APP/drains.json      its log drains, if they are followed
/var/lib/hsup/heroku/HOST/APP/slugs/ID.tgz     the archives of their slugs, and of an earlier one

/var/lib/hsup/heroku/HOST/APP/slugs/ID.tgz.part/    an unfinished download

Any number of hsups may share the directory of an application: a writer locks `slugs`, and a
download its own directory.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from hsup.archives.limits import read_limits
from hsup.archives.progress import tell_of_waiting
from hsup.directories import make_directories, state_directory
from hsup.durable import UNFINISHED, write_durably
from hsup.errors import SourceError
from hsup.locks import lock_or_make, unlock
from hsup.model import Release
from hsup_source_heroku import STATE_DIR, convert
from hsup_source_heroku.answers import DrainAnswer
from hsup_source_heroku.archive import Archives
from hsup_source_heroku.snapshot import Snapshot

logger = logging.getLogger(__name__)

_Kept = TypeVar("_Kept")


class ReleaseCache:
    """The directory of one application; `url_of` returns the URL of a slug's archive.

    `accepted` is the snapshot that this hsup accepted last, even if it could not be written.
    """

    def __init__(
        self, environ: Mapping[str, str], url: str, app: str, url_of: Callable[[str], str]
    ) -> None:
        base = environ.get(STATE_DIR) or state_directory("heroku", environ)
        host = quote(urlsplit(url).netloc.rpartition("@")[2], safe=":")
        self.directory = os.path.join(base, host, quote(app, safe=""))
        self._newest = os.path.join(self.directory, "newest.json")
        self._running = os.path.join(self.directory, "running.json")
        self._drains = os.path.join(self.directory, "drains.json")
        self._slugs = os.path.join(self.directory, "slugs")
        self.accepted: Snapshot | None = None
        self._archives = Archives(self._slugs, url_of, read_limits(environ))

    def newest(self) -> Snapshot | None:
        """Return the snapshot that was fetched last, None if it cannot be run."""
        return self._load(self._newest)

    def running(self) -> Snapshot | None:
        """Return the snapshot that was accepted last, None if it cannot be run."""
        return self._load(self._running)

    def take(self, snapshot: Snapshot) -> None:
        """Download the slug of a snapshot, and keep both.

        Raises SourceError, SlugError if the slug cannot be downloaded, and GivenUp.
        """
        archived = snapshot.archived
        with self._failures_told():
            make_directories(self.directory)
            make_directories(self._slugs)
            if archived is None or self._archives.has(archived):
                self._note(snapshot)
                return
            with self._archives.downloaded(archived) as place:
                self._note(snapshot, place)

    def _note(self, snapshot: Snapshot, place: Callable[[], None] | None = None) -> None:
        """Keep a snapshot, after `place` has moved its archive; remove archives not needed."""
        with self._locked():
            if place is not None:
                place()
            previous = self.newest()  # another hsup may be unpacking it
            _write(self._newest, snapshot)
            kept = (snapshot, previous, self.running(), self.accepted)
            self._archives.keep_only([one.archived for one in kept if one and one.archived])

    def rescale(self, snapshot: Snapshot) -> None:
        """Keep a snapshot with a new formation. Raises SourceError."""
        with self._locked():
            newest = self.newest()
            if newest is not None and newest.release_id == snapshot.release_id:
                _write(self._newest, snapshot)

    def accept(self, snapshot: Snapshot) -> None:
        """Keep a snapshot as the one that runs. Raises SourceError."""
        self.accepted = snapshot
        with self._locked():
            running = self.running()
            if snapshot != running and not (running and running.is_newer_than(snapshot)):
                _write(self._running, snapshot)

    def drains(self) -> tuple[DrainAnswer, ...]:
        """Return the log drains that were kept last."""
        return self._read(self._drains, tuple[DrainAnswer, ...]) or ()

    def keep_drains(self, drains: tuple[DrainAnswer, ...]) -> None:
        """Keep the log drains. Raises SourceError."""
        with self._locked():
            _write(self._drains, drains)

    def release(self, snapshot: Snapshot) -> Release:
        """Return the release of a snapshot."""
        archived = snapshot.archived
        return convert.release(snapshot, self._archives.path(archived) if archived else "")

    def _load(self, path: str) -> Snapshot | None:
        snapshot = self._read(path, Snapshot)
        archived = snapshot and snapshot.archived
        if archived and not os.path.exists(self._archives.path(archived)):
            logger.warning("ignoring %s: its slug is missing", path)
            return None
        return snapshot

    def _read(self, path: str, shape: type[_Kept]) -> _Kept | None:
        try:
            with open(path, "rb") as file:
                return msgspec.json.decode(file.read(), type=shape)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except UnicodeDecodeError:  # the error contains the text, with its secrets
            logger.warning("cannot read %s, ignoring it: it is not UTF-8", path)
        except OSError as error:
            logger.warning("cannot read %s, ignoring it: %s", path, error.strerror)
        except (msgspec.DecodeError, RecursionError) as error:
            logger.warning("cannot read %s, ignoring it: %s", path, error)
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the directory, after making it if needed. Raises SourceError."""
        with self._failures_told():
            make_directories(self.directory)
            descriptor = lock_or_make(self._slugs, on_wait=tell_of_waiting)
            try:
                yield
            finally:
                unlock(descriptor)

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            text = (
                f"cannot save the release for the next start in {self.directory}: {error.strerror}"
            )
            hint = f"free some space, or set {STATE_DIR} to a writable directory"
            raise SourceError(text, hint=hint) from error


def _write(path: str, kept: object) -> None:
    """Write a file; the caller has the lock, so the temporary name need not be unique."""
    write_durably(path, msgspec.json.encode(kept), work=f"{path}{UNFINISHED}")
