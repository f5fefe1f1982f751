"""Turn the arguments of `hsup stacks import` into an entry."""

from __future__ import annotations

import os

from hsup.archives.location import path_of_url
from hsup.errors import UsageError
from hsup.model import IMAGE_SCHEME
from hsup_driver_libcontainer.stacks.catalogue import split_wanted
from hsup_driver_libcontainer.stacks.manifest import Entry, check_url, normalized_checksum


def entry_of(
    wanted: str, location: str, *, directory: str, checksum: str | None, primary: bool
) -> Entry:
    """Return the entry of `NAME[:VERSION]` at a path or URL. Raises UsageError."""
    name, version = split_wanted(wanted)
    digits = normalized_checksum(checksum) if checksum else None
    if checksum and not digits:
        text = f'--checksum must be "sha256:" and 64 hexadecimal digits, got "{checksum}"'
        raise UsageError(text, hint="run sha256sum FILE to compute it")
    return Entry(name, version, _url(location, directory), digits, primary)


def _url(location: str, directory: str) -> str:
    if "://" in location:
        problem = check_url(location)
        if problem:
            raise UsageError(problem)
        if not location.startswith("file://"):
            return location
        location = path_of_url(location)
    path = os.path.abspath(os.path.join(directory, location))
    if not os.path.exists(path):
        text = f"cannot import {location}: there is no such file or directory"
        raise UsageError(text, hint=f"for an image in a registry, write {IMAGE_SCHEME}NAME")
    return path
