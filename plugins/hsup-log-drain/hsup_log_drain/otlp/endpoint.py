"""Read where an OTLP receiver is, and what it wants with each request, from a drain's URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from hsup.errors import UsageError
from hsup.log_drain import DrainURL

PORT = 4318
PATH = "/v1/logs"

_COMPRESSION = "compression"
_HEADER = "header."
_GZIP = "gzip"

#: A name of a header (RFC 9110, 5.6.2), and a value that every server reads alike (5.5).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?")
#: What the request itself has.
_RESERVED = frozenset(
    {
        *("accept", "connection", "content-encoding", "content-length", "content-type"),
        *("expect", "host", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)


class Endpoint(NamedTuple):
    """An OTLP receiver: what of it is in a URL.

    `headers` are those of the user, without those for the user and password of `url`.
    """

    url: DrainURL
    is_secure: bool
    headers: Mapping[str, str]
    is_gzip: bool = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


def endpoint(url: DrainURL) -> Endpoint:
    """Return the receiver that a URL names, with the defaults of OTLP. Raises UsageError."""
    taken, rest = url.take(_COMPRESSION)
    headers: dict[str, str] = {}
    for name, value in rest.parameters:
        if not name.startswith(_HEADER):
            continue
        _add_header(headers, name.removeprefix(_HEADER), value)
    others = tuple(pair for pair in rest.parameters if not pair[0].startswith(_HEADER))
    rest = rest._replace(parameters=others)
    rest.require_nothing_else(_COMPRESSION, f"{_HEADER}NAME")
    if url.user is not None and "authorization" in headers:
        text = "a drain has both a user and a header Authorization"
        raise UsageError(text, hint="leave out one of them")
    return Endpoint(
        url=rest._replace(
            port=PORT if url.port is None else url.port,
            path=PATH if url.path in {"", "/"} else url.path,
        ),
        is_secure=url.scheme.endswith("https"),
        headers=headers,
        is_gzip=_is_gzip(taken.get(_COMPRESSION, "none")),
    )


def _add_header(headers: dict[str, str], name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f'parameter "{_HEADER}{name}" does not end with the name of a header')
    key = name.lower()
    if key in _RESERVED:
        raise UsageError(f'header "{name}" of a drain cannot be set', hint="leave it out")
    if key in headers:
        raise UsageError(f'header "{name}" is given twice')
    if not _VALUE.fullmatch(value):
        text = f'the value of parameter "{_HEADER}{name}" is not that of a header'
        raise UsageError(text, hint="use ASCII characters, without blanks around them")
    headers[key] = value


def _is_gzip(compression: str) -> bool:
    if compression not in {_GZIP, "none"}:
        text = f'parameter "{_COMPRESSION}" of a drain is unknown'
        raise UsageError(text, hint=f"use {_GZIP} or none")
    return compression == _GZIP
