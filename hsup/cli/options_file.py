"""Find the file of an application that has options for hsup: `hsup.toml`, or foreman's `.foreman`.

What it has is overridden by environment variables, and these by the command line.
"""

from __future__ import annotations

import os

from hsup.directories import is_trusted, is_trusted_file
from hsup.visible import warn

TOML, FOREMAN = "hsup.toml", ".foreman"


def find(directory: str, *, looks_above: bool) -> str | None:
    """Return the path of the file in a directory, or else in the nearest one above it.

    The directory of a Procfile is the last one that is looked at. A file that others than root and
    this user may write does not count, as it says what is run, and where: the user is warned.
    Above the first directory, neither must others be able to put one there.
    """
    here = directory
    while True:
        for name in (TOML, FOREMAN):
            path = os.path.join(here, name)
            if not os.path.isfile(path):
                continue
            if is_trusted_file(path) and (here == directory or is_trusted(here)):
                return path
            warn(f"warning: {path} is ignored: others than you and root may write it")
        above = os.path.dirname(here)
        if not looks_above or above == here or os.path.isfile(os.path.join(here, "Procfile")):
            return None
        here = above
