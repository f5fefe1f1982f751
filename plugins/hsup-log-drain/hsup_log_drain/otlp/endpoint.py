"""Read where an OTLP receiver is, and what it wants with each request, from a drain's URL."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from hsup.errors import UsageError
from hsup.log_drain import DrainURL
from hsup_log_drain.http.compression import take_gzip
from hsup_log_drain.tls import PARAMETERS, TLS, take_tls

PORT = 4318
PATH = "/v1/logs"

_SCHEMES = "otlp+"
_HEADER = "header."

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

#: A part of a header's value, as in `Bearer KEY` and `token="KEY"`.
_PART = re.compile(r'[^\s,;="]+')

#: No part of a path that is a key is shorter.
_KEY_LENGTH = 6


class Endpoint(NamedTuple):
    """An OTLP receiver: what of it is in a URL.

    `url` is for the HTTP client: it has the client's scheme, and no parameters. `headers` are
    the user's own, without that for the user and the password of `url`.
    """

    url: DrainURL
    tls: TLS | None
    headers: Mapping[str, str]
    is_gzip: bool

    @property
    def secrets(self) -> Iterable[str]:
        """Return what a receiver is sent and must not be repeated, if it repeats that.

        A key may be a part of the path; short parts are words such as `otlp`. It may also be a
        part of a header's value, as in `Bearer KEY`.
        """
        user, password = self.url.user or "", self.url.password or ""
        basic = base64.b64encode(f"{user}:{password}".encode(errors="surrogateescape")).decode()
        parts = [one for one in self.url.path.split("/") if len(one) >= _KEY_LENGTH]
        values = self.headers.values()
        of_values = (part for value in values for part in _PART.findall(value))
        return (user, password, basic, *parts, *map(unquote, parts), *values, *of_values)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


def endpoint(url: DrainURL) -> Endpoint:
    """Return the receiver that a URL names, with the defaults of OTLP. Raises UsageError."""
    scheme = url.scheme.removeprefix(_SCHEMES)
    rest, is_gzip = take_gzip(url)
    tls = None
    if scheme == "https":
        tls, rest = take_tls(rest)
    headers, rest = _take_headers(rest)
    rest.require_nothing_else("gzip", f"{_HEADER}NAME", *(PARAMETERS if tls else ()))
    if url.user is not None and "authorization" in headers:
        text = "a drain has both a user and a header Authorization"
        raise UsageError(text, hint="leave out one of them")
    port = PORT if url.port is None else url.port
    path = PATH if url.path in {"", "/"} else url.path
    return Endpoint(rest._replace(scheme=scheme, port=port, path=path), tls, headers, is_gzip)


def _take_headers(url: DrainURL) -> tuple[dict[str, str], DrainURL]:
    """Return the headers that a URL has as parameters, and the URL without them."""
    headers: dict[str, str] = {}
    others = []
    for name, value in url.parameters:
        if name.startswith(_HEADER):
            _add_header(headers, name.removeprefix(_HEADER), value)
        else:
            others.append((name, value))
    return headers, url._replace(parameters=tuple(others))


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
