"""Tell a folder, the file of an archive, and a URL from one another."""

from __future__ import annotations

import os
from typing import NamedTuple

from hsup.slugs.errors import SlugError

_WEB = ("http://", "https://")
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
    """An archive on a server."""

    url: str

    def __str__(self) -> str:
        """Return what may be shown: user, password and signature are secrets."""
        from urllib.parse import urlsplit

        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"


Archive = ArchiveFile | ArchiveURL


def find(location: str, folder: str) -> Folder | Archive:
    """Return what `Slug.location` means, seen from a folder. Raises SlugError."""
    if location.lower().startswith(_WEB):
        return ArchiveURL(location)
    if "://" in location:
        location = _path_of(location)
    path = os.path.join(folder, location)
    return Folder(path) if os.path.isdir(path) else ArchiveFile(path)


def _path_of(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    if parts.scheme != "file":
        text = f"cannot get a slug by {parts.scheme}://"
        raise SlugError(text, hint="give a path, or a URL with file, http or https")
    if parts.netloc not in {"", "localhost"}:
        text = f"slug {url} is on another machine, {parts.netloc}"
        raise SlugError(text, hint=f"{_FILE} has three slashes: {_FILE}/{parts.netloc}{parts.path}")
    return unquote(parts.path)
