"""Ask servers over HTTP, and be done with those that do not come to an end.

requests because it is the user's, and proxies and certificates come with it. Its timeouts are
for each piece of an answer: headers that drip, endless interim answers, lines, trailers and
redirects with a body to be decompressed have none. So every read of a connection is watched,
and an answer is never followed or read to its end unasked.
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

#: Told how many bytes have just come, 0 while nothing comes; raises what ends the answer, which
#: has to be none of OSError and HTTPException, as libraries take these for the network's.
Watch = Callable[[int], None]

#: How long nothing may come before the watch is asked again.
_TICK_SECONDS = 0.25
#: More than http.client takes of a header; the line before a chunk has no limit there.
_MOST_LINE_BYTES = 1 << 17
#: What a server says before the answer proper; each takes a handful of lines.
_BUFFER_BYTES = 1 << 16
#: A greater number of seconds to wait is a time since 1970, as some servers have it.
_EPOCH_SECONDS = 1_000_000_000


def session(watch: Watch) -> requests.Session:
    """Return a session whose connections are watched; it follows no redirects."""
    made = _Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter(watch))
    return made


def is_of_url(error: BaseException) -> bool:
    """Tell whether an error tells of a URL, which may have a password: a proxy's, for example."""
    of_url = (requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError)
    return isinstance(error, of_url)


def redirect_target(response: requests.Response) -> str | None:
    """Return where a server sends to, which may be relative; None for another answer."""
    return SessionRedirectMixin().get_redirect_target(response)


def retry_after_seconds(response: requests.Response) -> float | None:
    """Return how long a server asks to wait: it says so in seconds, as a date or since 1970."""
    told = response.headers.get("Retry-After", "").strip()
    if are_digits(told):
        seconds = float(told[:20])
        return max(0.0, seconds - time.time()) if seconds > _EPOCH_SECONDS else seconds
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())


class _Session(requests.Session):
    def get_redirect_target(self, _: requests.Response) -> None:
        """Tell of no redirect: requests would first read the answer, and decompress it."""


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
    """Return urllib3's pools, of connections whose answers are read by way of the watch."""

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
    """What comes by a socket; `file` is what http.client has made of it, and keeps it open."""

    def __init__(self, sock: socket.socket, file: io.BufferedIOBase, watch: Watch) -> None:
        self._socket = sock
        self._file = file
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        before = self._socket.gettimeout()
        self._socket.settimeout(_TICK_SECONDS)
        try:
            while (count := self._receive(buffer)) is None:
                self._watch(0)
        finally:
            self._socket.settimeout(before)
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
    """Lines of a bounded length."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(_MOST_LINE_BYTES)
        if len(line) == _MOST_LINE_BYTES:
            raise http.client.LineTooLong("line of a chunk")
        return line
