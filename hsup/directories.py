"""The directories of hsup itself, and who else may write to those of others."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

_PRIVATE, _PASSABLE = 0o700, 0o755

#: Where root's programs keep their state (Filesystem Hierarchy Standard 3.0, 5.8).
SYSTEM_STATE = "/var/lib/hsup"


def state_directory(name: str, environ: Mapping[str, str]) -> str:
    """Return the directory for state that outlives hsup: root's, or that of hsup's user.

    A user's directory follows the XDG Base Directory Specification, by which a relative path
    is ignored.
    """
    if os.geteuid() == 0:
        return os.path.join(SYSTEM_STATE, name)
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(home(environ), ".local", "state")
    return os.path.join(state, "hsup", name)


def home(environ: Mapping[str, str]) -> str:
    """Return the home directory of hsup's user: HOME, or else that of the account."""
    if path := environ.get("HOME"):
        return path
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a uid without an account, as containers may have
        return "/"


def make_directories(path: str, mode: int = _PRIVATE) -> None:
    """Create a directory and its missing parents, whatever the umask is.

    Everybody can pass through the parents, but only their owner can write to them;
    os.makedirs would leave that to the umask. Raises OSError.
    """
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        directory_mode = mode if directory == missing[0] else _PASSABLE
        try:
            os.mkdir(directory, directory_mode)
        except FileExistsError:  # another hsup was faster
            continue
        with suppress(FileNotFoundError):  # another hsup has removed it again
            os.chmod(directory, directory_mode)


def is_trusted(directory: str, *names: str) -> bool:
    """Tell whether nobody but root and this user may write to a directory, and to files in it.

    Files that are missing do not count.
    """
    return all(is_trusted_file(os.path.join(directory, name)) for name in (".", *names))


def is_trusted_file(path: str) -> bool:
    """Tell whether nobody but root and this user may write to a file, or it is missing."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return True
    return status.st_uid in {0, os.geteuid()} and not _is_shared(status)


def _is_shared(status: os.stat_result) -> bool:
    """Tell whether others than its owner may write to a file.

    A group with the number of the owner has no other members, except root's (man 8 pam_umask).
    """
    has_own_group = status.st_uid == status.st_gid != 0
    others = stat.S_IWOTH if has_own_group else stat.S_IWOTH | stat.S_IWGRP
    return bool(status.st_mode & others)
