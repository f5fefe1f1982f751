"""Make directories for locks and notes that only this user may write to."""

from __future__ import annotations

import os

from hsup.directories import make_directories
from hsup.errors import DriverError


def make_own_directory(path: str) -> None:
    """Make a directory unless it exists. Raises DriverError if others can write to it."""
    make_directories(path)
    status = os.stat(path)
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        import shlex  # slow to import, rarely needed

        text = f"the run directory {path} is writable by other users"
        word = shlex.quote(path)
        raise DriverError(text, hint=f"run chown root {word} and chmod 700 {word}")
