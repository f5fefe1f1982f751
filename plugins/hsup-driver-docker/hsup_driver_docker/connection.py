"""Speak HTTP with a Docker Engine, one connection a request.

The SDK takes as long to import as a third of a whole `docker run` (bench/docker_run.py),
and reads output in threads only. So what a dyno's life takes is asked for here: HTTP/1.0,
which Docker Engines answer without chunks, and end with the connection. What is
upgraded to a stream, as attaching is, goes on as one.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from hsup.errors import DriverError
from hsup.numerals import whole_number
from hsup_driver_docker.endpoint import HOST, Certificates, Endpoint

if TYPE_CHECKING:
    import ssl

#: For what an engine answers at once. To create and start a container takes a second or
#: more on a busy machine.
_PATIENCE_SECONDS = 120.0
_CONNECT_SECONDS = 10.0
#: What an engine still gets for an answer that was given up.
_GIVEN_UP_SECONDS = 1.0

_READ_BYTES = 1 << 16
_MOST_HEADER_BYTES = 1 << 16
#: In the header of Podman's answers, except those that become two-way streams.
_PODMAN = b"\nLibpod-Api-Version:"
#: Of HTTP, see RFC 9110, section 15.
_FIRST_REFUSAL = 400

Query = Mapping[str, Any]


class EngineError(DriverError):
    """The engine refused a request; `status` is that of HTTP."""

    def __init__(self, text: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        self.status = status


class EngineAway(DriverError):
    """There is no engine, or it went away before it had answered."""


class EngineSlow(EngineAway):
    """The engine did not answer in time."""


class Stream(NamedTuple):
    """A connection that has become a stream; `first` is what was read of it already."""

    socket: socket.socket
    first: bytes


class Connection:
    """The way to one engine; any number of threads may use it at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._tls: ssl.SSLContext | None = None
        #: The engine did not answer for so long that nobody waits for it, until it answers again.
        self.is_given_up = False
        #: It has answered as Podman does: its own header was there at least once.
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
        """Return the answer to a request, as JSON has it, None where it is empty.

        Blocks. Raises EngineError and EngineAway.
        """
        stream = self.open(method, path, query, body, patience_seconds=patience_seconds)
        with stream.socket as connected:
            parts = [stream.first]
            connected.settimeout(self._patience(patience_seconds))
            try:
                while part := connected.recv(_READ_BYTES):
                    parts.append(part)
            except OSError as error:
                raise self._away(error) from error
        answer = b"".join(parts).strip()
        try:
            return json.loads(answer) if answer else None
        except ValueError as error:
            raise self.cut() from error

    def cut(self) -> EngineAway:
        """Return the error for an answer that ended before it was complete."""
        return self._away(ConnectionResetError("the connection was cut"))

    def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> Stream:
        """Return what follows the header of the answer as a stream, which blocks.

        Raises EngineError and EngineAway.
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
            raise self._away(error) from error
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
            raise self._away(error) from error

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

    def _away(self, error: OSError) -> EngineAway:
        address = self.endpoint.address
        if isinstance(error, PermissionError):
            hint = "run hsup as root, or as a member of the group docker"
        else:
            hint = f"start it (systemctl start docker), or set {HOST}"
        reason = error.strerror or str(error) or type(error).__name__
        kind = EngineSlow if isinstance(error, TimeoutError) else EngineAway
        return kind(f"cannot reach the Docker Engine at {address}: {reason}", hint=hint)


def tls_context(given: Certificates) -> ssl.SSLContext:
    """Return what TLS is spoken with, and verified as `docker` does.

    Python 3.13 refuses an authority that has no key usage, among others (RFC 5280, section
    4.2.1), as many have that people made for their engines.
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
    """Encode a query, byte by byte (RFC 3986, section 2.1).

    That is what urllib.parse does, which would take 1.8 ms of each `hsup run` to import.
    """
    values = {k: v if isinstance(v, bytes) else str(v).encode() for k, v in query.items()}
    return "&".join(f"{name}=%{value.hex('%')}" for name, value in values.items() if value)


def end_writing(connected: socket.socket) -> None:
    """Tell the engine that nothing more comes, and read on.

    ssl's own way to do so reads the rest as if it were not encrypted.
    """
    socket.socket.shutdown(connected, socket.SHUT_WR)


def read_some(connected: socket.socket) -> bytes | None:
    """Return what has come, b"" at the end, None where nothing has."""
    try:
        data = connected.recv(_READ_BYTES)
        while pending := getattr(connected, "pending", _nothing)():  # of TLS, no poll tells
            data += connected.recv(pending)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError as error:  # the engine went away, or TLS has not got the whole of a record
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
    """Read as far as the header goes, and return it, and what came behind. Raises EngineError."""
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
    """Return the error that the engine has answered with."""
    try:
        said = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        said = text.decode(errors="replace").strip() or f"status {status}"
    said = " ".join(said.split())
    hint = None
    if "no space left on device" in said:
        hint = "free some space; docker system df lists what uses it"
    return EngineError(f"the Docker Engine says: {said}", status=status, hint=hint)
