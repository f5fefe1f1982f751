"""Ask servers over HTTP, and end answers that never end by themselves.

requests finds the user's proxies and certificates. Its timeouts apply to each piece of an
answer: slow headers, endless interim answers, lines and trailers, and redirects with a body
to be decompressed have none. So every read of a connection is watched, redirects are not
followed, and an answer is not read to its end unless the caller does so.
"""

from __future__ import annotations

import email.utils
import http.client
import io
import socket
import time
from collections.abc import Callable
from datetime import UTC
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.sessions import SessionRedirectMixin

from hsup.numerals import are_digits

#: Called with the number of bytes just received, 0 while nothing arrives. To end the answer it
#: raises an error, but no OSError or HTTPException: libraries take these for network errors.
Watch = Callable[[int], None]

#: How often the watch is called while nothing arrives.
_TICK_SECONDS = 0.25
#: More than http.client accepts as a header; it has no limit for the line before a chunk.
_MOST_LINE_BYTES = 1 << 17
#: Room for the status line and the headers before the content.
_BUFFER_BYTES = 1 << 16
#: A greater number of seconds to wait is a time since 1970, which some servers send.
_EPOCH_SECONDS = 1_000_000_000


def session(watch: Watch) -> requests.Session:
    """Return a session whose connections are watched; it follows no redirects."""
    made = _WebSession()
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter(watch))
    return made


def is_of_url(error: BaseException) -> bool:
    """Tell whether an error quotes a URL, which may contain a password: a proxy's, for example."""
    of_url = (requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError)
    return isinstance(error, of_url)


def redirect_target(response: requests.Response) -> str | None:
    """Return the target of a redirect, which may be relative; None for any other answer."""
    return SessionRedirectMixin().get_redirect_target(response)


def retry_after_seconds(response: requests.Response) -> float | None:
    """Return how long a server asks to wait; it gives seconds, a date, or seconds since 1970."""
    header = response.headers.get("Retry-After", "").strip()
    if are_digits(header):
        seconds = float(header[:20])
        return max(0.0, seconds - time.time()) if seconds > _EPOCH_SECONDS else seconds
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())


class _WebSession(requests.Session):
    def get_redirect_target(self, _: requests.Response) -> None:
        """Report no redirect: requests would first read and decompress the answer."""


class _Adapter(HTTPAdapter):
    def __init__(self, watch: Watch) -> None:
        self._pools = _pools(watch)
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*arguments, **named)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(watch: Watch) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Return urllib3's pools with connections that call the watch as they read answers."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
            super().__init__(sock, *arguments, **named)
            self.fp = _Lines(_Watched(sock, self.fp, watch), _BUFFER_BYTES)

    class Connection(urllib3.connection.HTTPConnection):
        response_class = Response

    class SecureConnection(urllib3.connection.HTTPSConnection):
        response_class = Response

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


class _Watched(io.RawIOBase):
    """Reads a socket under the watch; `file` is http.client's, and keeps the socket open."""

    def __init__(self, sock: socket.socket, file: io.BufferedIOBase, watch: Watch) -> None:
        self._socket = sock
        self._file = file
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        timeout = self._socket.gettimeout()
        self._socket.settimeout(_TICK_SECONDS)
        try:
            while (count := self._receive(buffer)) is None:
                self._watch(0)
        finally:
            self._socket.settimeout(timeout)
        self._watch(count)
        return count

    def _receive(self, buffer: Any) -> int | None:
        try:
            return self._socket.recv_into(buffer)
        except TimeoutError:
            return None

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()


class _Lines(io.BufferedReader):
    """A buffered reader whose lines have a bounded length."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(_MOST_LINE_BYTES)
        if len(line) == _MOST_LINE_BYTES:
            raise http.client.LineTooLong("line of a chunk")
        return line
