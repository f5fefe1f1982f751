"""Find out whether a slug's location is a directory, an archive file or a URL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hsup.archives.errors import SlugError
from hsup.model import IMAGE_SCHEME

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_WEB = {"http", "https"}
_FILE = "file://"


class Directory(NamedTuple):
    """A directory with an application's code, which is used as it is."""

    path: str


class ArchiveFile(NamedTuple):
    """An archive on this machine, which may not exist."""

    path: str

    def __str__(self) -> str:
        return self.path


class ArchiveURL(NamedTuple):
    """An archive on a server; `shown` is the URL without its user, password and signature."""

    url: str
    shown: str

    def __str__(self) -> str:
        return self.shown


Archive = ArchiveFile | ArchiveURL


def find(location: str, directory: str, *, subject: str = "slug") -> Directory | Archive:
    """Return what a `Slug.location` refers to, relative to a directory. Raises SlugError.

    `subject` is what is there, for messages.
    """
    if "://" in location:
        parts = _parsed(location, subject)
        if parts.scheme in _WEB:
            return ArchiveURL(location, _shown(parts))
        location = _path_of(parts, subject)
    if location.lower().startswith(("http:", "https:")):
        # The URL is not shown: it may contain a password.
        raise SlugError(f"the {subject}'s URL must begin with http:// or https://")
    if "\0" in location:
        raise SlugError(f"the {subject}'s path {location!r} contains a NUL character")
    path = os.path.join(directory, location)
    return Directory(path) if os.path.isdir(path) else ArchiveFile(path)


def path_of_url(url: str, *, subject: str = "slug") -> str:
    """Return the path of a `file` URL. Raises SlugError."""
    return _path_of(_parsed(url, subject), subject)


def shown_url(url: str, *, subject: str = "slug") -> str:
    """Return a URL without its user, password and signature. Raises SlugError."""
    return _shown(_parsed(url, subject))


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parsed(url: str, subject: str) -> SplitResult:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where a password with a "/" in it was taken for a host and port
    except ValueError:
        # Neither the URL nor the error is shown: they may contain a password or a signature.
        hint = "put an IPv6 address in brackets, and %-encode special characters in a password"
        raise SlugError(f"the {subject}'s URL has an invalid host", hint=hint) from None
    return parts


def _path_of(parts: SplitResult, subject: str) -> str:
    from urllib.parse import unquote

    if parts.scheme != "file":
        text = f'cannot fetch the {subject} from a URL with the scheme "{parts.scheme}"'
        hint = "give a path, or a URL with file, http or https"
        if f"{parts.scheme}://" == IMAGE_SCHEME:
            text = "cannot unpack a container image as a slug"
            hint = "run it with the docker driver: -d docker"
        raise SlugError(text, hint=hint)
    if parts.netloc not in {"", "localhost"}:
        host = parts.netloc.rpartition("@")[2]
        text = f'"{_shown(parts)}" names a file on another machine, "{host}"'
        raise SlugError(text, hint=f"write three slashes: {_FILE}/{host}{parts.path}")
    path = unquote(parts.path)
    if not path or "\0" in path:
        raise SlugError(f'"{_shown(parts)}" has no valid path', hint=f"write {_FILE}/PATH")
    return path
