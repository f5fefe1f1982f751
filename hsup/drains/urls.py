"""Read the URLs of destinations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from hsup.errors import UsageError
from hsup.log_drain import DrainURL, parameter
from hsup.numerals import whole_number
from hsup.validation import line_problem

#: How much waits for a destination that is slow or away.
DEFAULT_BUFFER_BYTES = 16 << 20
#: As little as a few blocks need.
_LEAST_BUFFER_BYTES = 1 << 16
_DEFAULT_SPOOL_BYTES = 1 << 30
_UNITS: Mapping[str, int] = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d{1,9})([KMG]?)B?", re.ASCII | re.IGNORECASE)
#: RFC 3986, 3.1.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_EXAMPLE = (
    "write one such as https://logs.example/in, syslog://logs.example:514 or file:/var/log/app.log"
)

#: The parameters that hsup itself takes, of any drain.
BUFFER, SPOOL, SPOOL_SIZE = "buffer", "spool", "spool_size"
#: Parameters that name files of this machine, which are not for the author of a release.
OF_FILES = frozenset({SPOOL, "ca", "cert", "key", "socket"})
#: The kinds for which `key` is the receiver's own parameter if there is no `cert`.
OF_HTTP = frozenset({"http", "https"})


class Keeping(NamedTuple):
    """How what waits for a destination is kept: in memory, and on disk if `spool` is set."""

    buffer_bytes: int = DEFAULT_BUFFER_BYTES
    spool: str | None = None
    spool_bytes: int = _DEFAULT_SPOOL_BYTES


def read(text: str) -> DrainURL:
    """Return the URL that a text is. Raises UsageError, which tells nothing that may be secret."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise UsageError("it is not a URL: it has no scheme", hint=_EXAMPLE)
    if problem := line_problem(text):
        raise UsageError(f"its URL {problem}")
    if any(character.isspace() for character in text):
        raise UsageError("its URL has a blank", hint="write it as %20")
    try:
        split = urlsplit(text)
        port, host = split.port, split.hostname or ""
    except ValueError:
        raise UsageError(
            f"its URL cannot be parsed after {scheme[1].lower()}:", hint=_EXAMPLE
        ) from None
    if split.fragment:
        raise UsageError("its URL has a fragment", hint="write # as %23")
    return DrainURL(
        scheme=split.scheme,
        host=host,
        port=port,
        path=split.path,
        user=_decoded(split.username),
        password=_decoded(split.password),
        parameters=tuple(parameter(part) for part in split.query.split("&") if part),
        query=split.query,
    )


def keeping(url: DrainURL) -> tuple[Keeping, DrainURL]:
    """Return how what waits is kept, and the URL without those parameters. Raises UsageError."""
    given, rest = url.take(BUFFER, SPOOL, SPOOL_SIZE)
    kept = Keeping(spool=given.get(SPOOL))
    if kept.spool is not None and not kept.spool.startswith("/"):
        raise UsageError(f'parameter "{SPOOL}" must be an absolute path')
    if SPOOL_SIZE in given and kept.spool is None:
        raise UsageError(f'parameter "{SPOOL_SIZE}" needs "{SPOOL}"', hint="name a directory")
    if BUFFER in given:
        kept = kept._replace(buffer_bytes=_size(BUFFER, given[BUFFER]))
    if SPOOL_SIZE in given:
        kept = kept._replace(spool_bytes=_size(SPOOL_SIZE, given[SPOOL_SIZE]))
    return kept, rest


def _decoded(text: str | None) -> str | None:
    """Return a user or a password; bytes that are not UTF-8 stay what they are."""
    return None if text is None else unquote(text, errors="surrogateescape")


def _size(name: str, text: str) -> int:
    """Return a number of bytes: `64K`, `16M`, `1G`. Raises UsageError."""
    found = _SIZE.fullmatch(text)
    number = whole_number(found[1]) if found else None
    size = number * _UNITS.get(found[2].upper(), 1) if found and number is not None else 0
    if size < _LEAST_BUFFER_BYTES:
        raise UsageError(f'parameter "{name}" must be a size of 64K or more, such as 16M')
    return size
