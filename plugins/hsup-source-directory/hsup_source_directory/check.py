"""Validate a control file for `hsup check`."""

from __future__ import annotations

import os
from pathlib import Path

from hsup.api import Checked, Settings
from hsup.errors import SourceError
from hsup_source_directory.control_file import parse
from hsup_source_directory.reading import find_obstacle, read_control_file
from hsup_source_directory.source import control_directory

_NAMES = {"new", "loaded", "rejected"}


def check(path: Path | None, settings: Settings) -> Checked | None:
    """Return the faults of a control file, or None for a file of another kind.

    Without a path, it is `new` in the control directory, or else `loaded`.
    Raises SourceError if the file cannot be read, UsageError if no control
    directory is set.
    """
    if path is None:
        path = _next_control_file(control_directory(settings))
        there = Path(settings.directory, path)
    else:
        there = path.absolute()  # as it was typed, wherever the application is
    if not _is_control_file(there):
        return None
    what = f'control file "{path}"'
    try:
        content = read_control_file(there)
    except OSError as error:
        raise SourceError(f"cannot read {what}: {error.strerror}") from error
    parsed = parse(content, app=settings.app, default_app=there.parent.name)
    return Checked(what=what, faults=parsed.faults, release=parsed.release)


def _next_control_file(directory: Path) -> Path:
    for path in (directory / "new", directory / "loaded"):
        if os.path.lexists(path):
            return path
    text = f'control directory {directory} contains neither "new" nor "loaded"'
    raise SourceError(text, hint='write a control file named "new" there')


def _is_control_file(path: Path) -> bool:
    if path.name in _NAMES:
        return True
    if path.suffix == ".json":
        return path.name != "app.json"
    return _begins_as_json(path)


def _begins_as_json(path: Path) -> bool:
    try:
        if find_obstacle(path):
            return False
        with path.open("rb") as file:
            return file.read(4096).lstrip().startswith(b"{")
    except OSError:
        return False
