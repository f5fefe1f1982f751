"""Validate the files of the Procfile source for `hsup check`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hsup.api import Checked, Origin, Settings
from hsup_source_procfile.app_json import size_place
from hsup_source_procfile.application import (
    APP_JSON,
    PROCFILE,
    Application,
    Files,
    read_application,
    read_procfile,
)


def check(path: Path | None, settings: Settings) -> Checked | None:
    """Return the faults of a Procfile, and of the .env and app.json beside it.

    All three are validated if `path` is a directory, or None for the current one;
    a file is validated by itself. Returns None for a file whose name is not that
    of a Procfile. Raises SourceError.
    """
    if path is None:
        files = Files.of(settings)
        return _check(files, settings, lambda name: _from_here(files, name))
    named = path.absolute()  # as it was typed, wherever the application is
    if named.is_dir():
        if not (named / PROCFILE).is_file():
            return None
        files = Files.of(settings._replace(directory=str(named), procfile=None))
        return _check(files, settings, lambda name: str(path / name))
    if not _is_procfile(named.name):
        return None
    processes, faults = read_procfile(str(named))
    application = Application(None, {}, processes, {named.name: faults})
    return _checked(application, settings, str(named.parent), named.name, lambda _: str(path))


def _check(files: Files, settings: Settings, path_of: Callable[[str], str]) -> Checked:
    """Read an application's files, and return their faults; `path_of` is given a file's name."""
    return _checked(
        read_application(files), settings, files.directory, files.name(files.procfile), path_of
    )


def _checked(
    application: Application,
    settings: Settings,
    directory: str,
    procfile: str,
    path_of: Callable[[str], str],
) -> Checked:
    faults = application.faults_seen_from(procfile)
    app = settings.app or application.name or os.path.basename(directory) or "app"
    return Checked(
        what=path_of(procfile),
        faults=tuple(one._replace(file=one.file and path_of(one.file)) for one in faults),
        release=None if application.faulty_file else application.release(app),
        config_origins={
            name: Origin(path_of(file), f"line {number}")
            for name, (file, number) in application.lines.items()
        },
        size_origins={
            one.name: Origin(path_of(APP_JSON), size_place(one.name))
            for one in application.processes
            if one.size is not None
        },
    )


def _from_here(files: Files, name: str) -> str:
    """Return the path of a file from the working directory, or the whole path if it is shorter."""
    path = os.path.join(files.directory, name)
    relative = os.path.relpath(path)
    if not relative.startswith("../"):
        return relative
    parent, file = os.path.split(path)  # PWD may have led here by a link
    return min(os.path.relpath(os.path.join(os.path.realpath(parent), file)), path, key=len)


def _is_procfile(name: str) -> bool:
    return name == PROCFILE or name.startswith(f"{PROCFILE}.") or name.endswith(".procfile")
