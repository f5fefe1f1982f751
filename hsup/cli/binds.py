"""The paths of this machine that dynos see, as `--bind` has them."""

from __future__ import annotations

import os
from pathlib import Path

from hsup.errors import UsageError
from hsup.model import Bind

_READ_ONLY = ":ro"
#: Directories that a bind would break, and trees in which no mount point can be created.
_RESERVED_PATHS = ("/", "/dev", "/dev/pts")
_RESERVED_TREES = ("/proc", "/sys")


def parse_bind(text: str) -> Bind:
    """Return what the value of `--bind` says. Raises UsageError."""
    paths = text.removesuffix(_READ_ONLY)
    host, _, dyno = paths.partition(":")
    path = "/" + os.path.normpath(dyno or host).lstrip("/")
    bind = Bind(host=Path(host), dyno=Path(path), read_only=paths != text)
    if ":" in dyno:
        raise UsageError(f'cannot bind "{text}": it must be HOST[:DYNO][:ro]')
    if not (bind.host.is_absolute() and (dyno or host).startswith("/")):
        fault = f'cannot bind "{text}": both paths must be absolute'
        raise UsageError(fault, hint="begin them with /")
    if path in _RESERVED_PATHS or f"/{path.split('/')[1]}" in _RESERVED_TREES:
        fault = f'cannot bind "{text}": {bind.dyno} is reserved in a dyno'
        raise UsageError(fault, hint="choose another path for the dyno: HOST:DYNO")
    if not bind.host.exists():
        fault = f'cannot bind "{text}": {bind.host} does not exist on this machine'
        raise UsageError(fault, hint="create it first")
    return bind
