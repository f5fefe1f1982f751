"""What the kinds `https` and `http` send, and what they make of an answer's status."""

from __future__ import annotations

import asyncio
import base64

import pytest

from hsup import __version__
from hsup.api import LogEvent
from hsup.errors import DrainError, DrainRefused, DrainUnreachable, UsageError
from hsup.log_drain import LogDrain
from hsup_log_drain.http.connection import Request
from hsup_log_drain.testing import Frame, HttpAnswer, HttpReceiver, status

from .delivering import STAMP, TOKEN, batch, block, deliver, loss, make, with_drain


def test_lines_arrive_as_the_platform_sends_them(receiver: HttpReceiver) -> None:
    sent = block(
        loss("L10", "Error L10 (output buffer overflow): 7 messages dropped since now."),
        batch(b"one\ntwo\r\n\n"),
        batch(
            b"State changed from starting to up\n",
            "heroku",
            "worker.12",
            LogEvent("state_changed", state="up"),
        ),
        batch(b"Stopping\n", "hsup", "supervisor", LogEvent("notice")),
        batch(b"Deploy by user X\n", "app", "api", LogEvent("notice")),
        batch(b"the end"),
    )
    deliver(f"{receiver.url}/in", sent)
    (request,) = receiver.requests
    lost = b"Error L10 (output buffer overflow): 7 messages dropped since now.\n"
    assert request.frames == [
        Frame(172, STAMP, "host", "heroku", "logplex", lost),
        Frame(190, STAMP, "host", "app", "web.1", b"one\n"),
        Frame(190, STAMP, "host", "app", "web.1", b"two\r\n"),
        Frame(190, STAMP, "host", "app", "web.1", b"\n"),
        Frame(45, STAMP, "host", "heroku", "worker.12", b"State changed from starting to up\n"),
        Frame(45, STAMP, "host", "hsup", "supervisor", b"Stopping\n"),
        Frame(190, STAMP, "host", "app", "api", b"Deploy by user X\n"),
        Frame(190, STAMP, "host", "app", "web.1", b"the end\n"),
    ]
    assert dict(request.headers) == {
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": f"hsup/{__version__}",
        "content-type": "application/logplex-1",
        "content-length": str(len(request.body)),
        "logplex-msg-count": "8",
        "logplex-frame-id": sent.id.upper(),
        "logplex-drain-token": TOKEN,
    }


def test_user_password_path_and_query_go_to_the_receiver(receiver: HttpReceiver) -> None:
    at = f"127.0.0.1:{receiver.port}"
    deliver(f"http://me%40x:p%3Ass@{at}/a%2Fb/c d?key=a%26b&tag=1&tag=2&empty=&gzip=0")
    (request,) = receiver.requests
    assert request.head.target == "/a%2Fb/c%20d?key=a%26b&tag=1&tag=2&empty="
    _, pair = request.headers["authorization"].split()
    assert base64.b64decode(pair) == b"me@x:p:ss"


@pytest.mark.parametrize(
    "query", ["token", "a=%ff", "a=b%2Fc+d&e=%20f", "a[]={1}|2&b='3'", "x=1&&y;z=%2b&"]
)
@pytest.mark.parametrize("kind", ["http", "logplex"])
def test_a_query_arrives_as_it_was_written(receiver: HttpReceiver, query: str, kind: str) -> None:
    deliver(f"{receiver.url}/in?{query}", kind=kind)
    assert receiver.requests[0].head.target == f"/in?{query}"


def test_what_a_request_cannot_have_in_a_query_is_encoded(receiver: HttpReceiver) -> None:
    deliver(f'{receiver.url}/in?a=é"<&gzip=0')
    assert receiver.requests[0].head.target == "/in?a=%C3%A9%22%3C"


def test_bytes_of_a_url_that_are_no_text_stay_what_they_are(receiver: HttpReceiver) -> None:
    deliver(f"{receiver.url}/\udcff?a=\udcfe")
    assert receiver.requests[0].head.target == "/%FF?a=%FE"


def test_a_url_without_a_path_means_its_root(receiver: HttpReceiver) -> None:
    deliver(receiver.url)
    assert receiver.requests[0].head.target == "/"


def test_a_body_is_compressed_if_its_url_says_so(receiver: HttpReceiver) -> None:
    deliver(f"{receiver.url}/?a=b&gzip=1", block(batch(b"hello\n" * 1000)))
    (request,) = receiver.requests
    assert request.head.target == "/?a=b"
    assert request.headers["content-encoding"] == "gzip"
    assert request.messages == [b"hello\n"] * 1000
    assert len(request.body) < 2000


def test_a_block_without_lines_is_not_sent(receiver: HttpReceiver) -> None:
    deliver(receiver.url, block(batch(b"")))
    assert receiver.connection_count == 0


def test_a_block_that_is_sent_again_has_the_same_id(receiver: HttpReceiver) -> None:
    receiver.answer(status(503))
    one = block()

    async def use(drain: LogDrain) -> None:
        with pytest.raises(DrainError):
            await drain.deliver(one)
        await drain.deliver(one)

    with_drain(receiver.url, use)
    first, second = receiver.requests
    assert first.headers["logplex-frame-id"] == second.headers["logplex-frame-id"]
    assert first.body == second.body
    assert receiver.connection_count == 1


@pytest.mark.parametrize("number", [200, 201, 202, 204, 299])
def test_a_status_of_success_is_a_delivery(receiver: HttpReceiver, number: int) -> None:
    receiver.answer(_answer(number))
    deliver(receiver.url)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("number", [400, 401, 403, 404, 408, 410, 413, 422, 499])
def test_a_fault_of_the_client_is_a_refusal(receiver: HttpReceiver, number: int) -> None:
    receiver.answer(_answer(number))
    with pytest.raises(DrainRefused, match=f"^it answered {number}"):
        deliver(receiver.url)


@pytest.mark.parametrize("number", [300, 301, 302, 304, 307, 308, 429, 500, 502, 503, 504, 599])
def test_any_other_status_may_be_another_one_later(receiver: HttpReceiver, number: int) -> None:
    receiver.answer(_answer(number))
    with pytest.raises(DrainError, match=f"^it answered {number}") as caught:
        deliver(receiver.url)
    assert not isinstance(caught.value, (DrainRefused, DrainUnreachable))
    assert caught.value.retry_seconds is None


def test_a_redirect_is_not_followed(receiver: HttpReceiver) -> None:
    with HttpReceiver() as other:
        receiver.answer(status(307, headers={"Location": f"{other.url}/secret"}))
        with pytest.raises(DrainError, match="redirects are not followed") as caught:
            deliver(receiver.url)
        assert other.connection_count == 0
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("number", [429, 503])
def test_a_receiver_says_when_it_wants_to_be_asked_again(
    receiver: HttpReceiver, number: int
) -> None:
    receiver.answer(status(number, headers={"Retry-After": "17"}))
    with pytest.raises(DrainError) as caught:
        deliver(receiver.url)
    assert caught.value.retry_seconds == 17


def test_connections_are_used_again(receiver: HttpReceiver) -> None:
    deliver(receiver.url, *(block() for _ in range(5)))
    assert [one.connection for one in receiver.requests] == [1] * 5


def test_there_are_as_many_connections_as_posts_at_once(receiver: HttpReceiver) -> None:
    async def use(drain: LogDrain) -> None:
        for _ in range(3):
            await asyncio.gather(*(drain.deliver(block()) for _ in range(drain.limits.lanes)))

    with_drain(receiver.url, use)
    assert len(receiver.requests) == 12
    assert receiver.connection_count == 4


def test_a_body_has_about_as_many_bytes_as_the_platforms(receiver: HttpReceiver) -> None:
    line = b"x" * 99 + b"\n"
    limits = make(receiver.url).limits
    deliver(receiver.url, block(batch(line * (limits.bytes // len(line)))))
    assert 95_000 < len(receiver.requests[0].body) < 110_000


@pytest.mark.parametrize(
    "url",
    [
        "http:///in",
        "http://a{b}/",
        "http://a..b/",
        "http://example/?gzip=yes",
        "http://example/?gzip=1&gzip=1",
        "https://example/?ca=/nowhere/secret",
    ],
)
def test_a_url_that_makes_no_sense_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        make(url)


def test_nothing_of_a_url_is_in_what_stands_for_a_drain() -> None:
    drain = make("http://user:hidden1@example/hidden2?a=hidden3")
    request = Request("/hidden2", (("Authorization", "hidden1"),), b"")
    seen = [repr(value) for value in (drain, *vars(drain).values(), request)]
    assert "hidden" not in "".join(seen)


def _answer(number: int) -> HttpAnswer:
    """Return an answer with a status that need not have a name."""
    body = b"" if number in (204, 304) else b"no"
    named = status(200, body)
    return named._replace(data=named.data.replace(b"200 OK", b"%d Something" % number))
