"""What a URL says of the requests that go there."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

from hsup import __version__
from hsup.errors import UsageError
from hsup.log_drain import DrainURL
from hsup_log_drain.tls import TLS

#: A name, or an address, which may have a zone.
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")

Headers = tuple[tuple[str, str], ...]

#: The ports of schemes that there are.
_PORTS = {"http": 80, "https": 443}

#: What RFC 3986 (3.3) allows in a path, and `%`, as a path is written percent-encoded.
_OF_PATHS = "/%:@!$&'()*+,;=~"
#: What stays as it is written in a query: all printable ASCII but the blank, quotation marks, `#`,
#: `<` and `>`.
_OF_QUERIES = "!$%&'()*+,-./:;=?@[\\]^_`{|}~"


class Target:
    """Where requests go, and the headers that all of them have.

    This has the user, the password and the query: nothing of it is for a text, except `url`.
    """

    def __init__(self, url: DrainURL, tls: TLS | None, query: str = "") -> None:
        """Take a URL, and that part of its query that is for the receiver. Raises UsageError."""
        if url.scheme not in _PORTS:
            raise UsageError(f'"{url.scheme}" is not a scheme of HTTP', hint="use https or http")
        self.url = url
        self.tls = tls
        self.default_port = _PORTS[url.scheme]
        self.path = _path(url.path, query)
        self.headers: Headers = (
            ("Host", _authority(url)),
            ("User-Agent", f"hsup/{__version__}"),
            *_authorization(url),
        )


def _path(path: str, query: str) -> str:
    """Return the path and the query, percent-encoded."""
    errors = "surrogateescape"  # bytes of a command line that are not UTF-8 stay what they are
    path = quote(path or "/", safe=_OF_PATHS, errors=errors)
    query = quote(query, safe=_OF_QUERIES, errors=errors)
    return f"{path}?{query}" if query else path


def _authority(url: DrainURL) -> str:
    """Return the host and the port, in ASCII. Raises UsageError."""
    try:
        host = url.host.encode("idna").decode()
    except UnicodeError:  # in it may be what was meant as a password
        host = ""
    if not _HOST.fullmatch(host):
        raise UsageError("its URL has no valid host")
    return url._replace(host=host).authority


def _authorization(url: DrainURL) -> Iterable[tuple[str, str]]:
    """Yield the header for the user and the password of a URL, if it has any (RFC 7617)."""
    if url.user is not None or url.password is not None:
        pair = f"{url.user or ''}:{url.password or ''}".encode(errors="surrogateescape")
        yield "Authorization", f"Basic {base64.b64encode(pair).decode()}"
