"""Make a new release whenever the Procfile, .env or app.json of a directory changes."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

from hsup.api import Fetched, Settings
from hsup.errors import InvalidRelease, SourceError
from hsup.model import Release, Slug
from hsup.validation import line_problem
from hsup_source_procfile.application import (
    Application,
    Files,
    RequiredFileError,
    read_application,
)


class ProcfileSource:
    """The source for the application in a directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._accepted: Release | None = None
        # Kept open, so that no other directory gets their inodes while they may be run.
        self._directory: int | None = None  # of the release that was accepted last
        self._kept_directory: int | None = None
        self._lacks_file = False  # at the last fetch

    def fetch(self) -> Fetched:
        """Read the three files; the version counts from 1, up with every change of content.

        Raises SourceError if a file cannot be read, or there is no Procfile.
        """
        directory = os.path.realpath(self._settings.directory)
        opened = _opened(directory)
        unneeded: int | None = opened
        try:
            application = self._read(directory)
            faulty_file = application.faulty_file
            if faulty_file is not None:
                return Fetched(release=self._accepted, rejected=_rejected(application, faulty_file))
            self._accepted = self._release(application, _slug(directory, opened))
            self._directory, unneeded = opened, self._directory
        finally:
            _close(unneeded)
        faults = application.faults_seen_from("")
        warnings = tuple(str(fault) for fault in faults if not fault.is_of_others)
        return Fetched(release=self._accepted, warnings=warnings)

    def keep(self, release: Release) -> None:
        """Keep the release that runs, outside of its directory. Raises SourceError."""
        from hsup_source_procfile import kept

        kept.keep(release, self._of(), self._settings.environ)

    def kept(self) -> Release | None:
        """Return the release that ran last here, with the current directory as its slug.

        None if a file that has to be there could not be read: what it had is not to run.
        """
        if self._lacks_file:
            return None
        from hsup_source_procfile import kept

        release = kept.kept(self._of(), self._settings.environ)
        if release is None:
            return None
        directory = os.path.realpath(self._settings.directory)
        opened = _opened(directory)
        _close(self._kept_directory)
        self._kept_directory = opened
        return release._replace(slug=_slug(directory, opened))

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield once at the start, and whenever one of the files may have changed."""
        # Not at the top: only watching needs asyncio.
        from hsup_source_procfile.changes import changes

        return changes(Files.of(self._settings).paths())

    def _read(self, directory: str) -> Application:
        self._lacks_file = False
        try:
            return read_application(Files.of(self._settings._replace(directory=directory)))
        except RequiredFileError:
            self._lacks_file = True
            raise

    def _of(self) -> str:
        """Return what a release is kept under: its directory, or what the user named instead."""
        given = self._settings
        named = [given.procfile or given.directory, *given.env_files]
        return "?".join(named) + ("?expanded" if given.expands_env else "")

    def _release(self, application: Application, slug: Slug) -> Release:
        """Return the last accepted release if its content is the same, else the next version."""
        last = self._accepted
        app = self._settings.app or application.name or self._directory_name()
        release = application.release(app, version=last.version if last else 1, slug=slug)
        if last is None or release == last:
            return release
        return release._replace(version=last.version + 1)

    def _directory_name(self) -> str:
        name = os.path.basename(os.path.realpath(self._settings.directory))
        return name if name and line_problem(name) is None else "app"


def _opened(directory: str) -> int:
    try:
        return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"cannot read {directory}: {error.strerror}") from error


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _slug(directory: str, opened: int) -> Slug:
    return Slug(location=directory, inode=os.fstat(opened).st_ino)


def _rejected(application: Application, file: str) -> InvalidRelease:
    faults = [fault for fault in application.faults_seen_from(file) if not fault.is_warning]
    hint = "run hsup check to list all faults" if len(faults) > 1 else None
    return InvalidRelease(f"cannot read {file}", faults, hint=hint)
