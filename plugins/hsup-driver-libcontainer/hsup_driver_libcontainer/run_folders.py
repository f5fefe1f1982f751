"""Folders for locks and notes, which nobody but this user may write to."""

from __future__ import annotations

import os

from hsup.errors import DriverError
from hsup.folders import make_folders


def make_own_folder(path: str) -> None:
    """Make a folder unless it is there. Raises DriverError if others can write to it."""
    make_folders(path)
    found = os.stat(path)
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        text = f"run folder {path} can be written to by others"
        raise DriverError(text, hint=f"chown it to root and chmod it to 700: {path}")
