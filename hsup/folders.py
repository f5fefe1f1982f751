"""Make folders that nobody else can write to, whatever the umask of hsup's caller is."""

from __future__ import annotations

import os
from contextlib import suppress

_PRIVATE, _PASSABLE = 0o700, 0o755


def make_folders(path: str, mode: int = _PRIVATE) -> None:
    """Make a folder, and those above it, where they are missing, whatever the umask is.

    Those above can be passed by everybody and written to by their owner alone;
    os.makedirs would leave to the umask who can. Raises OSError.
    """
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for one in reversed(missing):
        wanted = mode if one == missing[0] else _PASSABLE
        try:
            os.mkdir(one, wanted)
        except FileExistsError:  # another hsup was quicker
            continue
        with suppress(FileNotFoundError):  # another hsup has removed it again
            os.chmod(one, wanted)
