"""Find the key for the Platform API as Heroku's own command line does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from hsup.directories import home
from hsup.errors import UsageError
from hsup_source_heroku import API_URL, CREATE_KEY, DEFAULT_API_URL, TOKENS

_NETRC = "NETRC"
#: More than a file of passwords has.
_MOST_CHARACTERS = 1 << 20


def api_url(environ: Mapping[str, str]) -> str:
    """Return the URL of the API, without a slash at its end. Raises UsageError."""
    url = environ.get(API_URL) or DEFAULT_API_URL
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if "@" in parts.netloc:
        hint = f"put the API key into {TOKENS[0]}"
        raise UsageError(f"{API_URL} contains a user or a password", hint=hint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(
            f'{API_URL}: "{url}" is not an HTTP URL', hint=f"write one such as {DEFAULT_API_URL}"
        )
    return url.rstrip("/")


def find(environ: Mapping[str, str]) -> str | None:
    """Return the key, None without one. Raises UsageError if it is malformed, or cannot be read."""
    for name in TOKENS:
        if token := environ.get(name, "").strip():
            return _valid(token, name)
    return _from_netrc(environ)


def _from_netrc(environ: Mapping[str, str]) -> str | None:
    from hsup_source_heroku.netrc_file import password_of

    path = environ.get(_NETRC) or os.path.join(home(environ), ".netrc")
    try:
        # Keys are ASCII, but the entries of other machines may be in any encoding.
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(_MOST_CHARACTERS)
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = f"set {TOKENS[0]}"
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=hint) from None
    password = password_of(urlsplit(api_url(environ)).hostname or "", text)
    return _valid(password, path) if password else None


def _valid(token: str, origin: str) -> str:
    """Return a key that fits into a header. Raises UsageError, without the key in it."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"the API key in {origin} is malformed", hint=CREATE_KEY)
    return token
