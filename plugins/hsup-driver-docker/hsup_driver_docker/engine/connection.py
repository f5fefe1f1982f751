"""Speak HTTP with a Docker Engine, with one connection for each request.

The SDK takes 0.12 s to import, nearly half as long as a whole `docker run`, and reads output
only in threads. So all requests that running a dyno takes are sent from here, in
HTTP/1.0: Docker Engines answer it without chunks, and close the connection at the end of the
answer. A connection that is upgraded, as for attaching, becomes a stream.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from hsup.errors import DriverError
from hsup.numerals import whole_number
from hsup_driver_docker.engine.endpoint import HOST, Certificates, Endpoint

if TYPE_CHECKING:
    import ssl

#: For requests that an engine answers at once. To create and start a container takes a second
#: or more on a busy machine.
_PATIENCE_SECONDS = 120.0
_CONNECT_SECONDS = 10.0
#: For an engine that has been given up.
_GIVEN_UP_SECONDS = 1.0

_READ_BYTES = 1 << 16
_MOST_HEADER_BYTES = 1 << 16
#: A header of all answers of Podman, except those that become two-way streams.
_PODMAN = b"\nLibpod-Api-Version:"
#: The first status of HTTP that is an error (RFC 9110, section 15).
_FIRST_REFUSAL = 400

Query = Mapping[str, Any]


class EngineError(DriverError):
    """The engine answered a request with an error; `status` is the status of HTTP."""

    def __init__(self, text: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        self.status = status


class EngineUnreachable(DriverError):
    """The engine cannot be reached, or closed the connection before it had answered."""


class EngineSlow(EngineUnreachable):
    """The engine did not answer in time."""


class Stream(NamedTuple):
    """A connection that has become a stream; `first` is what was already read from it."""

    socket: socket.socket
    first: bytes


class Connection:
    """Access to one engine, for any number of threads at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._tls: ssl.SSLContext | None = None
        #: The engine has not answered for so long that requests time out at once, until one is
        #: answered.
        self.is_given_up = False
        #: An answer has had Podman's own header.
        self.is_podman = False

    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> Any:
        """Send a request, and return the decoded JSON of its answer, or None if that is empty.

        Blocks. Raises EngineError and EngineUnreachable.
        """
        stream = self.open(method, path, query, body, patience_seconds=patience_seconds)
        with stream.socket as connected:
            parts = [stream.first]
            connected.settimeout(self._patience(patience_seconds))
            try:
                while part := connected.recv(_READ_BYTES):
                    parts.append(part)
            except OSError as error:
                raise self._unreachable(error) from error
        answer = b"".join(parts).strip()
        try:
            return json.loads(answer) if answer else None
        except ValueError as error:
            raise self.cut() from error

    def cut(self) -> EngineUnreachable:
        """Return the error for an answer that ended before it was complete."""
        return self._unreachable(ConnectionResetError("the connection was cut"))

    def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> Stream:
        """Send a request, and return all that follows the header of its answer as a stream.

        Blocks, and so does reading the stream. Raises EngineError and EngineUnreachable.
        """
        content = b"" if body is None else json.dumps(body).encode()
        target = f"{path}?{_encoded(query)}" if query else path
        request = (
            f"{method} {target} HTTP/1.0\r\nHost: docker\r\nUser-Agent: hsup\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        connected = self._connect()
        try:
            connected.settimeout(self._patience(patience_seconds))
            connected.sendall(request.encode() + content)
            header, first = _read_answer(connected)
            self.is_given_up = False
            self.is_podman |= _PODMAN in header
            connected.settimeout(None)
        except OSError as error:
            connected.close()
            raise self._unreachable(error) from error
        except BaseException:
            connected.close()
            raise
        return Stream(connected, first)

    def _patience(self, wanted_seconds: float) -> float:
        return min(wanted_seconds, _GIVEN_UP_SECONDS) if self.is_given_up else wanted_seconds

    def _connect(self) -> socket.socket:
        seconds = self._patience(_CONNECT_SECONDS)
        try:
            path = self.endpoint.path
            if path is None:
                return self._connect_by_tcp(seconds)
            return _connect_to_socket(path, seconds)
        except OSError as error:
            raise self._unreachable(error) from error

    def _connect_by_tcp(self, patience_seconds: float) -> socket.socket:
        host, port = self.endpoint.host_port
        connected = socket.create_connection((host, port), patience_seconds)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.endpoint.certificates is None:
                return connected
            return self._context().wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            assert self.endpoint.certificates is not None
            self._tls = tls_context(self.endpoint.certificates)
        return self._tls

    def _unreachable(self, error: OSError) -> EngineUnreachable:
        address = self.endpoint.address
        if isinstance(error, PermissionError):
            hint = "run hsup as root, or as a member of the group docker"
        else:
            hint = f"start it (systemctl start docker), or set {HOST}"
        reason = error.strerror or str(error) or type(error).__name__
        error_type = EngineSlow if isinstance(error, TimeoutError) else EngineUnreachable
        return error_type(f"cannot reach the Docker Engine at {address}: {reason}", hint=hint)


def tls_context(given: Certificates) -> ssl.SSLContext:
    """Return the context for TLS, which verifies certificates as `docker` does.

    By default, Python 3.13 refuses an authority without a key usage, among others (RFC 5280,
    section 4.2.1). Many that people have made for their engines are like that.
    """
    import ssl

    tls = ssl.create_default_context(cafile=given.authority)
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not given.verify:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if given.own:
        tls.load_cert_chain(*given.own)
    return tls


def _encoded(query: Query) -> str:
    """Encode a query, without its empty values (RFC 3986, section 2.1)."""
    from urllib.parse import quote, urlencode  # not all requests have a query

    return urlencode({name: v for name, v in query.items() if v != ""}, quote_via=quote)


def end_writing(connected: socket.socket) -> None:
    """Close the writing half of a connection, and leave the reading half open.

    The method of ssl's sockets would read the rest as if it were not encrypted.
    """
    socket.socket.shutdown(connected, socket.SHUT_WR)


def read_some(connected: socket.socket) -> bytes | None:
    """Return the data that has arrived, b"" at the end, or None if there is none yet."""
    try:
        data = connected.recv(_READ_BYTES)
        while pending := getattr(connected, "pending", _nothing)():  # poll does not see it
            data += connected.recv(pending)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError as error:  # the connection broke, or a record of TLS is incomplete
        return None if type(error).__name__ == "SSLWantReadError" else b""
    return data


def _nothing() -> int:
    return 0


def _connect_to_socket(path: str, patience_seconds: float) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.settimeout(patience_seconds)
        connected.connect(path)
    except BaseException:
        connected.close()
        raise
    return connected


def _read_answer(connected: socket.socket) -> tuple[bytes, bytes]:
    """Return the header of an answer, and what was read behind it. Raises EngineError."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connected.recv(_READ_BYTES)
        if not part:
            raise ConnectionResetError("it closed the connection without an answer")
        data += part
        if b"\r\n\r\n" not in data and len(data) > _MOST_HEADER_BYTES:
            raise ConnectionError("the server there is not a Docker Engine")
    header, _, rest = data.partition(b"\r\n\r\n")
    words = header.split(None, 2)
    status = whole_number(words[1])
    if not words[0].startswith(b"HTTP/") or status is None:
        raise ConnectionError("the server there is not a Docker Engine")
    if status >= _FIRST_REFUSAL:
        while part := connected.recv(_READ_BYTES):
            rest += part
        raise _refusal(status, rest)
    return header, rest


def _refusal(status: int, text: bytes) -> EngineError:
    """Return the error for an answer with an error."""
    try:
        reason = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        reason = text.decode(errors="replace").strip() or f"status {status}"
    reason = " ".join(reason.split())
    hint = None
    if "no space left on device" in reason:
        hint = "free some space; docker system df lists what uses it"
    return EngineError(f"the Docker Engine says: {reason}", status=status, hint=hint)
