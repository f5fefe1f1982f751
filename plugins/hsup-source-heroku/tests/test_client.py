"""The client returns an answer, or says why it cannot, whatever a server sends."""

from __future__ import annotations

import email.utils
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any

import pytest

from hsup_source_heroku.budget import Budget
from hsup_source_heroku.client import Client
from hsup_source_heroku.errors import ApiError, BrokenAnswer, Unauthorized, Unreachable

OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(80 << 20), mtime=0)


@pytest.fixture
def get(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a function that gets a path from a server that sends pieces, and then nothing."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    done = threading.Event()

    def serve(listener: socket.socket, pieces: Iterable[bytes], ends: bool) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(1 << 16)
                    for piece in pieces:
                        connection.sendall(piece)
                    if not ends:
                        done.wait()
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def ask(*pieces: bytes, ends: bool = False) -> Any:
            threading.Thread(target=serve, args=(listener, pieces, ends), daemon=True).start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            return Client(url, "key", Budget()).get("/apps/shop")

        yield ask
        done.set()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "pieces",
    [
        [OK + b"X-Header: x"],
        repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 100_000),
        [OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", *repeat(b"X: x\r\n" * 1000, 20)],
    ],
    ids=["a header", "interim answers", "chunks", "trailers"],
)
def test_an_answer_that_does_not_come_to_an_end_is_given_up(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, pieces: list[bytes] | repeat[bytes]
) -> None:
    monkeypatch.setattr("hsup_source_heroku.client._ANSWER_SECONDS", 0.2)
    with pytest.raises(Unreachable, match=r"the answer of http://\S+ is too long"):
        get(*pieces)


@pytest.mark.parametrize("before", [b"", OK + b"Content-Length: 9\r\n\r\n"])
def test_a_server_that_says_nothing_more_is_given_up(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr("hsup_source_heroku.client._PIECE_SECONDS", 0.1)
    with pytest.raises(Unreachable, match=r"http://\S+ did not answer in time"):
        get(before)


@pytest.mark.parametrize("before", [b"", OK + b"Content-Length: 9\r\n\r\n"])
def test_a_server_that_breaks_off_its_answer_was_reached(
    get: Callable[..., Any], before: bytes
) -> None:
    with pytest.raises(Unreachable, match=r"cannot read the answer of http://\S+: "):
        get(before, ends=True)


def test_a_body_may_be_compressed(get: Callable[..., Any]) -> None:
    body = gzip.compress(b"[]")
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert get(head + body).body == b"[]"


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found\r\nLocation: /x", b"500 Oops"])
def test_a_body_that_is_too_large_once_decompressed_is_refused(
    get: Callable[..., Any], status: bytes
) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Encoding: gzip\r\n"
    with pytest.raises(Unreachable, match=r"the answer of http://\S+ is too long"):
        get(head + b"Content-Length: %d\r\n\r\n" % len(BOMB) + BOMB)


@pytest.mark.parametrize(("encoding", "text"), [(b"gzip", "damaged"), (b"br", '"br"')])
def test_a_body_that_cannot_be_decompressed_is_told(
    get: Callable[..., Any], encoding: bytes, text: str
) -> None:
    with pytest.raises(BrokenAnswer, match=text):
        get(OK + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 2\r\n\r\n{}")


def refusal(status: bytes, body: bytes, *headers: str) -> bytes:
    head = b"".join(header.encode() + b"\r\n" for header in headers)
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, head, len(body), body)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"id": "two_factor", "message": "A second authentication factor is required."}', ()),
        (b"{}", ("Heroku-Two-Factor-Required: true",)),
    ],
)
def test_an_account_with_a_second_factor_is_told_what_to_do(
    get: Callable[..., Any], body: bytes, headers: tuple[str]
) -> None:
    with pytest.raises(
        Unauthorized,
        match=r"second factor.*; set .* \(create one with heroku authorizations:create\)",
    ):
        get(refusal(b"403 Forbidden", body, *headers))


@pytest.mark.parametrize(
    "told",
    [
        lambda: "3000",
        lambda: email.utils.formatdate(time.time() + 3000, usegmt=True),
        lambda: str(int(time.time()) + 3000),
    ],
    ids=["seconds", "a date", "since 1970"],
)
def test_the_api_says_in_several_ways_how_long_to_wait(
    get: Callable[..., Any], told: Callable[..., Any]
) -> None:
    with pytest.raises(ApiError) as caught:
        get(refusal(b"429 Too Many", b"{}", f"Retry-After: {told()}"))
    assert caught.value.retry_after == pytest.approx(3000, abs=60)


def test_a_number_of_requests_that_makes_no_sense_is_passed_over(get: Callable[..., Any]) -> None:
    number = b"9" * 5000
    head = OK + b"RateLimit-Remaining: " + number + b"\r\nContent-Length: 2\r\n\r\n"
    assert get(head + b"{}").body == b"{}"


@pytest.mark.parametrize("told", ["soon", "-1", "9" * 400, "Mon, 99 Foo 9999 99:99:99 GMT", "1e9"])
def test_a_wait_that_makes_no_sense_is_bounded(get: Callable[..., Any], told: str) -> None:
    with pytest.raises(ApiError) as caught:
        get(refusal(b"503 Busy", b"[" * 100_000, f"Retry-After: {told}"))
    assert caught.value.retry_after is None or caught.value.retry_after > 0
