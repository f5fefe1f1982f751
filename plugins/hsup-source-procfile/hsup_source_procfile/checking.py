"""Validate the files of the Procfile source for `hsup check`."""

from __future__ import annotations

import os
from pathlib import Path

from hsup.api import Checked, Settings
from hsup_source_procfile.application import PROCFILE, Files, read_application, read_procfile


def check(path: Path | None, settings: Settings) -> Checked | None:
    """Return the faults of a Procfile, and of the .env and app.json beside it.

    All three are validated if `path` is a directory, or None for the current one;
    a file is validated by itself. Returns None for a file whose name is not that
    of a Procfile. Raises SourceError.
    """
    if path is None:
        files = Files.of(settings)
        name = files.name(files.procfile)
        faults = read_application(files).faults_seen_from(name)
        faults = tuple(
            one._replace(file=one.file and _from_here(files, one.file)) for one in faults
        )
        return Checked(what=_from_here(files, name), faults=faults)
    named = path.absolute()  # as it was typed, wherever the application is
    if named.is_dir():
        if not (named / PROCFILE).is_file():
            return None
        files = Files.of(settings._replace(directory=str(named), procfile=None))
        faults = read_application(files).faults_seen_from(files.name(files.procfile))
        faults = tuple(one._replace(file=one.file and str(path / one.file)) for one in faults)
        return Checked(what=str(path / PROCFILE), faults=faults)
    if not _is_procfile(named.name):
        return None
    _, faults = read_procfile(str(named))
    return Checked(what=str(path), faults=faults)


def _from_here(files: Files, name: str) -> str:
    """Return the path of a file from the working directory, if it is below that."""
    relative = os.path.relpath(os.path.join(files.directory, name))
    return name if relative.startswith("../") else relative


def _is_procfile(name: str) -> bool:
    return name == PROCFILE or name.startswith(f"{PROCFILE}.") or name.endswith(".procfile")
