"""Find the file of an application that has options for hsup: `hsup.toml`, or foreman's `.foreman`.

What it has is overridden by environment variables, and these by the command line.
"""

from __future__ import annotations

import os

from hsup.directories import is_trusted

TOML, FOREMAN = "hsup.toml", ".foreman"


def find(directory: str, *, looks_above: bool) -> str | None:
    """Return the path of the file in a directory, or else in the nearest one above it.

    The directory of a Procfile is the last one that is looked at. Above the first, a file that
    others than root and this user may write does not count: it says what is run.
    """
    here = directory
    while True:
        for name in (TOML, FOREMAN):
            path = os.path.join(here, name)
            if os.path.isfile(path) and (here == directory or is_trusted(here, name)):
                return path
        above = os.path.dirname(here)
        if not looks_above or above == here or os.path.isfile(os.path.join(here, "Procfile")):
            return None
        here = above
