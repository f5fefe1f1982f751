"""The receiver of the test kit believes nothing that it is sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hsup_log_drain.testing import HttpReceiver, status

_HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/logplex-1\r\n"
_FRAME = b"<190>1 2026-01-02T15:04:05.000000+00:00 host app web.1 - a\n"
_COUNTED = b"%d %s" % (len(_FRAME), _FRAME)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as running:
        yield running


def _exchange(receiver: HttpReceiver, sent: bytes) -> bytes:
    """Send bytes, and return what is answered until nothing more can come."""
    with socket.create_connection((receiver.host, receiver.port)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def _request(body: bytes, *headers: bytes) -> bytes:
    given = headers or (b"Logplex-Msg-Count: 1", b"Content-Length: %d" % len(body))
    return _HEAD + b"".join(one + b"\r\n" for one in given) + b"\r\n" + body


def test_requests_are_answered_in_turn(receiver: HttpReceiver) -> None:
    receiver.answer(status(503))
    answered = _exchange(receiver, _request(_COUNTED) * 2)
    assert answered.startswith(b"HTTP/1.1 503 ")
    assert answered.endswith(b"\r\n\r\nok")
    assert [one.messages for one in receiver.requests] == [[b"a\n"]] * 2
    assert receiver.invalid == []


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "this is no request"),
        (b"POST / HTTP/1.1\nHost: x\n\n", "a line has no end"),
        (b"POST / HTTP/1.1\r\n\r\n", "has no Host"),
        (_HEAD + b"A : b\r\n\r\n", "this is no header"),
        (_HEAD + b"A: b\r\nA: b\r\n\r\n", "comes twice"),
        (_request(b"", b"A: b"), "has no length"),
        (_request(b"0\r\n\r\n", b"Transfer-Encoding: chunked"), "has no length"),
        (_request(_COUNTED, b"Content-Length: %d" % len(_COUNTED)), "there are 1 frames"),
        (_request(_COUNTED * 2), "there are 2 frames"),
        (_request(_COUNTED[:-1]), "not whole"),
        (_request(_COUNTED + b"\n"), "no length in front"),
        (_request(b"3 a b"), "no head of a frame"),
        (_request(_COUNTED).replace(b"logplex-1", b"json"), "of such a type"),
    ],
)
def test_what_is_wrong_is_told(receiver: HttpReceiver, request_: bytes, problem: str) -> None:
    _exchange(receiver, request_)
    receiver.wait_until(lambda: receiver.invalid)
    assert problem in receiver.invalid[0]


def test_a_request_that_is_not_whole_does_not_count(receiver: HttpReceiver) -> None:
    assert _exchange(receiver, _request(_COUNTED)[:-1]) == b""
    assert (receiver.requests, receiver.invalid) == ([], [])
