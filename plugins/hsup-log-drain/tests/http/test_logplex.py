"""The kind `logplex`: what the Go program's log-shuttle sent."""

from __future__ import annotations

import base64
import uuid

import pytest

from hsup.api import LogEvent
from hsup.errors import DrainError, DrainRefused, UsageError
from hsup_log_drain.testing import HttpReceiver, split_frames, status

from .delivering import STAMP, TIME, batch, block, deliver, loss, make

_HEAD = f"<190>1 {STAMP} shuttle app web.1 - - ".encode()


def _frames(receiver: HttpReceiver) -> list[bytes]:
    (request,) = receiver.requests
    return split_frames(request.body)


def test_frames_are_those_of_log_shuttle(receiver: HttpReceiver) -> None:
    deliver(
        receiver.url, block(batch(b"one\ntwo\r\n\n\xff\n" + b"x" * 20_005 + b"\n")), kind="logplex"
    )
    messages = [b"one\n", b"two\r\n", b"\n", b"\xff\n", *[b"x" * 10_000] * 2, b"xxxxx\n"]
    assert _frames(receiver) == [_HEAD + message for message in messages]


def test_a_last_line_without_a_newline_is_sent(receiver: HttpReceiver) -> None:
    deliver(receiver.url, block(batch(b"nonewline")), kind="logplex")
    assert _frames(receiver) == [_HEAD + b"nonewline\n"]


def test_the_request_is_that_of_log_shuttle(receiver: HttpReceiver) -> None:
    url = f"http://token:t.secret@127.0.0.1:{receiver.port}/logs?ca=1&gzip=1&key=2"
    sent = block()
    deliver(url, sent, kind="logplex")
    (request,) = receiver.requests
    assert request.head.target == "/logs?ca=1&gzip=1&key=2"
    assert request.headers["authorization"] == "Basic dG9rZW46dC5zZWNyZXQ="
    assert base64.b64decode("dG9rZW46dC5zZWNyZXQ=") == b"token:t.secret"
    assert request.headers["logplex-msg-count"] == "1"
    others = {"logplex-drop-count", "logplex-lost-count", "logplex-drain-token"}
    assert not others & set(request.headers)


def test_the_id_of_a_request_is_a_random_uuid_and_the_same_when_it_is_sent_again(
    receiver: HttpReceiver,
) -> None:
    sent = block()._replace(id="09C557EAFCFB6CF2740EE62F62971098")
    deliver(receiver.url, sent, sent, kind="logplex")
    ids = [uuid.UUID(request.headers["x-request-id"]) for request in receiver.requests]
    assert [(one.version, one.variant) for one in ids] == [(4, uuid.RFC_4122)] * 2
    assert ids[0] == ids[1]


def test_nothing_of_hsups_own_is_sent(receiver: HttpReceiver) -> None:
    sent = block(
        batch(b"Starting\n", "heroku", "web.1", LogEvent("starting")),
        batch(b"Deploy by user X\n", "app", "api", LogEvent("notice")),
        batch(b"hello\n"),
        batch(b"Stopping\n", "hsup", "supervisor", LogEvent("notice")),
    )
    deliver(receiver.url, sent, block(*sent.batches[:2]), kind="logplex")
    assert _frames(receiver) == [_HEAD + b"hello\n"]


def test_losses_are_told_in_a_frame_and_in_headers(receiver: HttpReceiver) -> None:
    sent = block(
        loss("L12", "Error L12: 12 messages dropped since 2026-01-02T15:04:05.000000+00:00"),
        loss("L13", "Error L13: 3 messages lost since 2026-01-02T15:04:05.000000+00:00"),
        batch(b"hello\n"),
    )
    deliver(receiver.url, sent, kind="logplex")
    (request,) = receiver.requests
    assert request.headers["logplex-drop-count"] == "12"
    assert request.headers["logplex-lost-count"] == "3"
    assert request.headers["logplex-msg-count"] == "3"
    head = f"<172>1 {STAMP} heroku app log-shuttle - - Error L1".encode()
    since = b" since 2026-01-02T15:04:05.000000+00:00\n"
    assert _frames(receiver) == [
        head + b"2: 12 messages dropped" + since,
        head + b"3: 3 messages lost" + since,
        _HEAD + b"hello\n",
    ]


def test_losses_are_told_although_there_is_no_other_line(receiver: HttpReceiver) -> None:
    notice = batch(b"Stopping\n", "hsup", "supervisor", LogEvent("notice"))
    told = loss("L12", "Error L12: 1 messages dropped since now")
    deliver(receiver.url, block(told, notice), kind="logplex")
    assert receiver.requests[0].headers["logplex-drop-count"] == "1"


@pytest.mark.parametrize(
    ("number", "error"), [(400, DrainRefused), (404, DrainRefused), (500, DrainError)]
)
def test_a_status_of_failure_is_one(
    receiver: HttpReceiver, number: int, error: type[DrainError]
) -> None:
    receiver.answer(status(number))
    with pytest.raises(error, match=str(number)):
        deliver(receiver.url, kind="logplex")


def test_limits_are_those_of_log_shuttle() -> None:
    limits = make("https://example/logs", "logplex").limits
    assert (limits.lines, limits.wait_seconds, limits.lanes) == (500, 0.25, 4)
    assert (limits.tries, limits.overflow_code) == (3, "L12")
    assert limits.only_dynos
    assert TIME // 10**9 == 1_767_366_245


def test_another_scheme_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match='"syslog" is not a scheme of HTTP'):
        make("syslog://example", "logplex")
