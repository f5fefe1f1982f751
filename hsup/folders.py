"""Where hsup's own folders are, made so that nobody else can write to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

_PRIVATE, _PASSABLE = 0o700, 0o755

#: What root's programs keep (Filesystem Hierarchy Standard 3.0, 5.8).
SYSTEM_STATE = "/var/lib/hsup"


def state_folder(name: str, environ: Mapping[str, str]) -> str:
    """Return where hsup keeps what is to outlive it, for all of root's or for those of a user.

    A user's is as the XDG Base Directory Specification has it, by which a relative path counts
    as none.
    """
    if os.geteuid() == 0:
        return os.path.join(SYSTEM_STATE, name)
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(home(environ), ".local", "state")
    return os.path.join(state, "hsup", name)


def home(environ: Mapping[str, str]) -> str:
    """Return the home directory of hsup's user: HOME, or else that of the account."""
    if found := environ.get("HOME"):
        return found
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # as for a uid that a container was given
        return "/"


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
