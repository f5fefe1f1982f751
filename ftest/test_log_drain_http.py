"""Lines of dynos, and of hsup, arrive at receivers of HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftest.program import Hsup, eventually, free_port
from hsup_log_drain.testing import Authority, Frame, HttpReceiver, SeenRequest, split_frames, status


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as running:
        yield running
    assert running.invalid == []


def _frames(receiver: HttpReceiver) -> list[Frame]:
    """Return the frames that were taken, each once: a block may be sent again, with its id."""
    blocks = {one.headers["logplex-frame-id"]: one for one in receiver.requests}
    return [frame for one in blocks.values() for frame in one.frames]


def _messages(receiver: HttpReceiver, process: str, app: str = "app") -> list[bytes]:
    """Return what arrived of a dyno, in order; a lane has all of its lines."""
    return [one.message for one in _frames(receiver) if (one.process, one.app) == (process, app)]


def test_every_line_arrives_in_order_before_hsup_ends(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(web="seq 20000", worker="printf 'a\\r\\n\\nb'")
    ended = hsup.call("start", "--oneshot", "--drain", f"{receiver.url}/in")
    assert ended.status == 0
    assert _messages(receiver, "web.1") == [b"%d\n" % number for number in range(1, 20_001)]
    assert _messages(receiver, "worker.1") == [b"a\r\n", b"\n", b"b\n"]
    assert {one.priority for one in _frames(receiver) if one.app == "app"} == {190}
    assert receiver.connection_count <= 4


def test_what_hsup_says_of_dynos_arrives(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(web=hsup.born)
    running = hsup.start("--drain", receiver.url)
    receiver.wait_until(lambda: b"born\n" in _messages(receiver, "web.1"))
    assert running.stop() == 0
    said = b"".join(one.message for one in _frames(receiver) if one.app != "app")
    assert b"State changed from starting to up\n" in said
    assert b"Process exited with status " in said
    assert {one.priority for one in _frames(receiver) if one.app != "app"} == {45}


def test_a_drain_keeps_its_token(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(web="echo hello")
    url = receiver.url.replace("//", "//user:secret@")
    for _ in range(2):
        ended = hsup.call("start", "--oneshot", "--drain", url)
        assert "secret" not in ended.text + ended.message
    (token,) = {one.headers["logplex-drain-token"] for one in receiver.requests}
    assert re.fullmatch(r"d\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", token)


def test_lines_wait_for_a_receiver_that_is_away(hsup: Hsup) -> None:
    port = free_port()
    hsup.procfile(web=f"seq 100; exec {hsup.sleep}")
    running = hsup.start("--drain", f"http://127.0.0.1:{port}")
    running.wait_for(rf"drain http://127\.0\.0\.1:{port}: cannot connect: Connection refused")
    with HttpReceiver(port) as receiver:
        receiver.wait_until(lambda: b"100\n" in _messages(receiver, "web.1"))
        running.wait_for("takes lines again after .* no line was lost")
        assert running.stop() == 0
        assert _messages(receiver, "web.1") == [b"%d\n" % number for number in range(1, 101)]


def test_lines_are_sent_again_after_a_failure(hsup: Hsup, receiver: HttpReceiver) -> None:
    receiver.answer(status(503), 2)
    hsup.procfile(web="seq 100")
    assert hsup.call("start", "--oneshot", "--drain", receiver.url).status == 0
    assert _messages(receiver, "web.1") == [b"%d\n" % number for number in range(1, 101)]


def test_a_receiver_is_told_what_it_has_refused(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(web="while echo tick; do sleep 0.1; done")
    receiver.always_answer(status(400))
    running = hsup.start("--drain", receiver.url)
    running.wait_for(r"it answered 400 \(Bad Request\)")
    receiver.always_answer(status(200))
    receiver.wait_until(lambda: [one for one in receiver.requests if one.frames[0].priority == 172])
    assert running.stop() == 0
    lost = [one for one in _frames(receiver) if one.priority == 172]
    assert (lost[0].app, lost[0].process) == ("heroku", "logplex")
    assert re.fullmatch(rb"Error L13: \d+ messages lost since .*\n", lost[0].message)


def test_https_is_verified(hsup: Hsup, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server").server_context()
    hsup.procfile(web=hsup.born)
    with HttpReceiver(tls=server) as trusted, HttpReceiver(tls=server) as other:
        trusting = f"{trusted.url}/?ca={authority.certificate}"
        running = hsup.start("--grace", "1", "--drain", trusting, "--drain", other.url)
        trusted.wait_until(lambda: _messages(trusted, "web.1") == [b"born\n"])
        running.wait_for(r'Error L14 \(certificate validation\): error="unable to get local issuer')
        assert running.stop() == 0
        assert other.requests == []


def _bodies(requests: list[SeenRequest]) -> list[bytes]:
    return [frame for one in requests for frame in split_frames(one.body)]


def test_a_logplex_gets_what_dynos_write_and_nothing_else(
    hsup: Hsup, receiver: HttpReceiver
) -> None:
    hsup.procfile(web="echo hello; printf end")
    url = f"{receiver.url}/logs".replace("//", "//token:t.secret@")
    assert hsup.call("start", "--oneshot", "--logplex-url", url).status == 0
    frames = _bodies(receiver.requests)
    assert [one.partition(b" shuttle app web.1 - - ")[2] for one in frames] == [
        b"hello\n",
        b"end\n",
    ]
    assert eventually(lambda: receiver.open_connections == 0)
