"""Validate the files of the Procfile source for `hsup check`."""

from __future__ import annotations

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
        what = files.name(files.procfile)
        return Checked(what=what, faults=read_application(files).faults_seen_from(what))
    named = Path(settings.directory, path)
    if named.is_dir():
        if not (named / PROCFILE).is_file():
            return None
        files = Files(directory=str(named), procfile=str(named / PROCFILE))
        faults = read_application(files).faults_seen_from(PROCFILE)
        faults = tuple(one._replace(file=one.file and str(path / one.file)) for one in faults)
        return Checked(what=str(path / PROCFILE), faults=faults)
    if not _is_procfile(named.name):
        return None
    _, faults = read_procfile(str(named))
    return Checked(what=str(path), faults=faults)


def _is_procfile(name: str) -> bool:
    return name == PROCFILE or name.startswith(f"{PROCFILE}.") or name.endswith(".procfile")
