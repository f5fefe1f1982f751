"""Nothing of a URL that may be a secret is in what is said of a failure, whatever the kind."""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import quote

import pytest

from hsup.api import LogBatch, Settings
from hsup.errors import DrainError, HsupError, UsageError
from hsup.log_drain import Destination, DrainURL, LogBlock, LogDrain
from hsup_log_drain.hooks import hsup_register_log_drains
from hsup_log_drain.testing import Authority

KINDS = hsup_register_log_drains()
REMOTE = [scheme for scheme in KINDS if scheme not in ("file", "journal")]

USER, PASSWORD, VALUE = "the-user", "pass:word/é", "a value&more"
PATH, TOKEN = "/the-path", "d.8cd04c4f-the-token"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (
    *(USER, PASSWORD, VALUE, PATH.strip("/"), TOKEN, BASIC),
    *(quote(PASSWORD), quote(PASSWORD, safe=""), quote(VALUE)),
)

#: What a kind may take, or refuse: its value is not told.
PARAMETERS: Sequence[tuple[tuple[str, str], ...]] = (
    (),
    (("token", VALUE),),
    (("header.X-Key", VALUE),),
    (("gzip", VALUE),),
    (("cert", VALUE),),
    (("a", VALUE), ("a", VALUE)),
)

LINES = LogBatch(1_790_000_000_000_000_000, "app", "web.1", "stdout", b"hello\n", False, "shop", 4)
BLOCK = LogBlock("0" * 32, [LINES], 1)
SECONDS = 20

Fault = Callable[[socket.socket, bytes], None]


def close(_: socket.socket, __: bytes) -> None:
    """Close the connection."""


def reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def echo(connection: socket.socket, seen: bytes) -> None:
    connection.sendall(seen)


def echo_in_head(connection: socket.socket, seen: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\x00" + seen.replace(b"\r\n", b" ") + b"\r\n\r\n")


def answer(status: int) -> Fault:
    def send(connection: socket.socket, seen: bytes) -> None:
        text = bytes(byte for byte in seen if byte in range(0x20, 0x7F))
        connection.sendall(
            b"HTTP/1.1 %d %s\r\nContent-Length: %d\r\nContent-Type: text/html\r\n"
            b"Location: /%s\r\nRetry-After: %s\r\n\r\n%s"
            % (status, text, len(seen), quote(text).encode(), text, seen)
        )

    return send


FAULTS: dict[str, Fault] = {
    "close": close,
    "reset": reset,
    "echo": echo,
    "echo_in_head": echo_in_head,
    **{str(status): answer(status) for status in (200, 302, 401, 404, 429, 500, 503)},
}


@contextmanager
def server(fault: Fault, tls: ssl.SSLContext | None) -> Iterator[int]:
    """Yield the port of a server with a fault; it has read the beginning of what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening, fault, tls), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(SECONDS)


def serve(listening: socket.socket, fault: Fault, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with suppress(OSError), connection:
            connection.settimeout(SECONDS)
            served = tls.wrap_socket(connection, server_side=True) if tls else connection
            with served:
                fault(served, served.recv(1 << 16))


@contextmanager
def nobody(_: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    yield port


def destination(
    scheme: str,
    port: int,
    parameters: Sequence[tuple[str, str]] = (),
    *,
    host: str = "127.0.0.1",
    path: str = PATH,
) -> Destination:
    actual = "https" if scheme == "logplex" else scheme
    url = DrainURL(actual, host, port, path, USER, PASSWORD, tuple(parameters))
    if actual.startswith("syslog") and path == PATH:  # it has no path, and nobody to know
        url = DrainURL(actual, host, port, parameters=tuple(parameters))
    if url.is_of_this_machine:  # whose path is no secret
        url = DrainURL(actual, path="/dev/null/log", parameters=tuple(parameters))
    return Destination(url, TOKEN, Settings(directory="/", environ={}))


def told(error: BaseException) -> str:
    """Return all that can be said of an error, and of those that it was raised from."""
    chain = "".join(traceback.format_exception(error, limit=0))
    hint = getattr(error, "hint", "")
    return f"{error}\n{error!r}\n{error.args}\n{hint}\n{chain}"


def require_no_secret(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text


async def failure(drain: LogDrain) -> DrainError | None:
    """Deliver a block twice, as a connection may be kept; return how that failed."""
    found = None
    try:
        async with asyncio.timeout(SECONDS):
            for _ in range(2):
                try:
                    await drain.deliver(BLOCK)
                except DrainError as error:
                    require_no_secret(told(error))
                    found = error
    finally:
        await drain.close()
    require_no_secret(repr(drain))
    return found


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check the log of everything at the end of a test."""
    caplog.set_level(logging.DEBUG)
    yield
    gc.collect()  # asyncio complains of what was not closed or awaited
    for record in caplog.records:
        require_no_secret(f"{record.getMessage()}\n{record.exc_text}\n{record.args}")


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("scheme", KINDS)
def test_a_url_that_makes_no_sense_is_refused_without_its_secrets(
    scheme: str, parameters: Sequence[tuple[str, str]]
) -> None:
    async def make(given: Destination) -> None:
        try:
            drain = KINDS[scheme](given)
        except UsageError as error:
            text = told(error)
            for name in ("cert", "key", "ca"):  # a file's name is not a secret
                text = text.replace(f'"{name}": cannot read file "{VALUE}"', "")
            require_no_secret(text)
        else:
            require_no_secret(f"{drain!r} {drain} {given!r} {given}")
            await drain.close()

    asyncio.run(make(destination(scheme, 1, parameters)))
    asyncio.run(make(destination(scheme, 1, parameters, host="")))
    asyncio.run(make(destination(scheme, 1, parameters, path=f"{PATH}\r\n")))


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("scheme", REMOTE)
def test_what_cannot_be_reached_is_told_without_secrets(scheme: str) -> None:
    with nobody() as port:
        asyncio.run(failure(KINDS[scheme](destination(scheme, port))))
    drain = KINDS[scheme](destination(scheme, 1, host="no-such.invalid"))
    asyncio.run(failure(drain))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return authority.issue("server").server_context()


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scheme", REMOTE)
def test_a_fault_of_a_receiver_is_told_without_secrets(
    scheme: str,
    fault: str,
    authority: Authority,
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What the kind `logplex` trusts has no parameter: OpenSSL reads the variable.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with server(FAULTS[fault], None) as port:
        asyncio.run(failure(KINDS[scheme](destination(scheme, port))))
    with server(FAULTS[fault], tls) as port:
        asyncio.run(failure(KINDS[scheme](destination(scheme, port))))


def test_faults_are_seen_at_all(
    authority: Authority, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    for scheme, context in {
        "http": None,
        "https": tls,
        "otlp+http": None,
        "otlp+https": tls,
    }.items():
        with server(FAULTS["404"], context) as port:
            error = asyncio.run(failure(KINDS[scheme](destination(scheme, port))))
        assert "it answered 404" in str(error)


def test_a_secret_in_a_text_is_found() -> None:
    with pytest.raises(AssertionError):
        require_no_secret(told(HsupError("no", hint=f"use {PASSWORD}")))
