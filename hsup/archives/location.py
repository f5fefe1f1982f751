"""Tell a folder, the file of an archive, and a URL from one another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hsup.archives.errors import SlugError
from hsup.model import IMAGE_SCHEME

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_WEB = {"http", "https"}
_FILE = "file://"


class Folder(NamedTuple):
    """An application's code as it is, not an archive."""

    path: str


class ArchiveFile(NamedTuple):
    """An archive on this machine, which may be missing."""

    path: str

    def __str__(self) -> str:
        return self.path


class ArchiveURL(NamedTuple):
    """An archive on a server; `shown` has no user, password or signature: they are secrets."""

    url: str
    shown: str

    def __str__(self) -> str:
        return self.shown


Archive = ArchiveFile | ArchiveURL


def find(location: str, folder: str) -> Folder | Archive:
    """Return what `Slug.location` means, seen from a folder. Raises SlugError."""
    if "://" in location:
        parts = _parsed(location)
        if parts.scheme in _WEB:
            return ArchiveURL(location, _shown(parts))
        location = _path_of(parts)
    if location.lower().startswith(("http:", "https:")):
        # It is not shown either.
        raise SlugError("a URL lacks a slash", hint="let it begin with http:// or https://")
    if "\0" in location:
        raise SlugError(f"the path {location!r} has a NUL in it", hint="correct it")
    path = os.path.join(folder, location)
    return Folder(path) if os.path.isdir(path) else ArchiveFile(path)


def path_of_url(url: str) -> str:
    """Return the path that a URL with `file` leads to. Raises SlugError."""
    return _path_of(_parsed(url))


def shown_url(url: str) -> str:
    """Return a URL as others may see it: without user, password and signature. Raises SlugError."""
    return _shown(_parsed(url))


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parsed(url: str) -> SplitResult:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where a password with a "/" in it was taken for a host and port
    except ValueError:
        # Neither it nor the error is told: a password or a signature may be in them.
        hint = (
            "correct its host; an IPv6 address has to be in brackets, and what is special in a "
            "password %-encoded"
        )
        raise SlugError("a URL names no valid host", hint=hint) from None
    return parts


def _path_of(parts: SplitResult) -> str:
    from urllib.parse import unquote

    if parts.scheme != "file":
        text = f"cannot get anything by {parts.scheme}://"
        hint = "give a path, or a URL with file, http or https"
        if f"{parts.scheme}://" == IMAGE_SCHEME:
            text, hint = "a container image is no slug", "run it with the docker driver: -d docker"
        raise SlugError(text, hint=hint)
    if parts.netloc not in {"", "localhost"}:
        host = parts.netloc.rpartition("@")[2]
        text = f'"{_shown(parts)}" is on another machine, "{host}"'
        raise SlugError(text, hint=f"write three slashes: {_FILE}/{host}{parts.path}")
    path = unquote(parts.path)
    if not path or "\0" in path:
        raise SlugError(f'"{_shown(parts)}" names no path', hint=f"write {_FILE}/PATH")
    return path
