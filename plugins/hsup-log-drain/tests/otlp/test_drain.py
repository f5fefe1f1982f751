from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from hsup.api import LogBatch, LogEvent, Settings
from hsup.errors import DrainError, DrainRefused, DrainUnreachable, UsageError
from hsup.launch import dyno_id
from hsup.log_drain import Destination, DrainURL, LogBlock
from hsup_log_drain.hooks import hsup_register_log_drains
from hsup_log_drain.http import connection
from hsup_log_drain.otlp.drain import OtlpDrain, create
from hsup_log_drain.testing import Authority, Ending, HttpAnswer, HttpReceiver, Reading, status
from hsup_log_drain.testing.otlp_receiver import otlp_receiver, records, response

TIME = 1_790_000_000_123_456_789
PROTOBUF = {"Content-Type": "application/x-protobuf"}
HALF_A_RESPONSE = response(1, "x" * 100).data[:-50]


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with otlp_receiver() as running:
        yield running
    assert running.invalid == []


def batch(
    lines: bytes, dyno: str = "web.1", stream: str = "stdout", event: LogEvent | None = None
) -> LogBatch:
    return LogBatch(
        TIME, "heroku" if event else "app", dyno, stream, lines, False, "shop", 42, event
    )


def block(*batches: LogBatch) -> LogBlock:
    count = sum(one.lines.count(b"\n") for one in batches)
    return LogBlock(uuid.uuid4().hex.upper(), batches, count)


def drain(
    port: int,
    *,
    scheme: str = "otlp+http",
    path: str = "",
    user: str | None = None,
    password: str | None = None,
    parameters: Sequence[tuple[str, str]] = (),
    metadata: Mapping[str, str] | None = None,
) -> OtlpDrain:
    url = DrainURL(scheme, "127.0.0.1", port, path, user, password, tuple(parameters))
    known = metadata or {}
    return create(Destination(url, "d.token", Settings(directory="/", environ={}), lambda: known))


def run(made: OtlpDrain, work: Callable[[OtlpDrain], Coroutine[object, object, None]]) -> None:
    async def closing() -> None:
        try:
            await work(made)
        finally:
            await made.close()

    asyncio.run(closing())


def deliver(made: OtlpDrain, *blocks: LogBlock) -> None:
    async def work(made: OtlpDrain) -> None:
        for one in blocks:
            await made.deliver(one)

    run(made, work)


LINE = block(batch(b"hello\n"))


def test_lines_arrive_with_all_that_is_known_of_them(receiver: HttpReceiver) -> None:
    crashed = LogEvent("exited", status=137, code="R15")
    sent = block(
        batch(b"1\n\n\xff\n"),
        batch(b"2\n", stream="stderr"),
        batch(b"Process exited with status 137\n", event=crashed),
        batch(b"3\n", "worker.1"),
        batch(b"4\n"),
    )
    deliver(drain(receiver.port, metadata={"HEROKU_APP_ID": "an-id"}), sent)
    found = records(receiver)
    web = [one for one in found if one.resource["heroku.dyno.name"] == "web.1"]
    assert [one.body for one in web if one.scope == "app"] == ["1", "", b"\xff", "2", "4"]
    assert [one.attributes["log.iostream"] for one in web if one.scope == "app"] == [
        *["stdout"] * 3,
        "stderr",
        "stdout",
    ]
    assert web[0].resource == {
        "service.name": "shop",
        "service.version": "v42",
        "service.instance.id": dyno_id("shop", 42, "web.1"),
        "heroku.dyno.name": "web.1",
        "heroku.dyno.type": "web",
        "cloud.provider": "heroku",
        "heroku.app.id": "an-id",
        "host.name": os.uname().nodename,
    }
    [event] = [one for one in web if one.scope == "heroku"]
    assert (event.body, event.severity) == ("Process exited with status 137", "ERROR")
    assert event.event_name == "hsup.exited"
    assert event.attributes == {
        "event.name": "hsup.exited",
        "error.type": "R15",
        "process.exit.code": 137,
    }
    [worker] = [one for one in found if one not in web]
    assert (worker.body, worker.severity, worker.observed_time) == ("3", "INFO", TIME)


def test_blocks_go_to_the_path_of_otlp_over_one_connection(receiver: HttpReceiver) -> None:
    deliver(drain(receiver.port), LINE, LINE, LINE)
    assert {one.head.target for one in receiver.requests} == {"/v1/logs"}
    assert receiver.connection_count == 1


def test_a_path_user_and_headers_are_those_of_the_url(receiver: HttpReceiver) -> None:
    made = drain(
        receiver.port,
        path="/otlp/v1/logs",
        user="me",
        password="it",
        parameters=[("header.X-Scope-OrgID", "tenant 1")],
    )
    deliver(made, LINE)
    [request] = receiver.requests
    assert request.head.target == "/otlp/v1/logs"
    assert request.headers["authorization"] == "Basic bWU6aXQ="
    assert request.headers["x-scope-orgid"] == "tenant 1"
    assert request.headers["user-agent"].startswith("hsup/")


def test_a_header_of_the_url_takes_the_place_of_hsups_own(receiver: HttpReceiver) -> None:
    deliver(drain(receiver.port, parameters=[("header.user-agent", "shop/1")]), LINE)
    [request] = receiver.requests
    assert request.headers["user-agent"] == "shop/1"


def test_bodies_are_compressed_if_the_url_asks_for_it(receiver: HttpReceiver) -> None:
    lines = b"the same again and again\n" * 500
    for parameters in ([], [("gzip", "1")]):
        deliver(drain(receiver.port, parameters=parameters), block(batch(lines)))
    plain, compressed = receiver.requests
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert len(compressed.body) * 10 < len(plain.body)
    assert len(records(receiver)) == 1000


def test_a_receiver_with_tls_is_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.issue("server").server_context()
    with otlp_receiver(tls=tls) as receiver:
        trusting = [("ca", str(authority.certificate))]
        deliver(drain(receiver.port, scheme="otlp+https", parameters=trusting), LINE)
        with pytest.raises(DrainUnreachable, match="L14"):
            deliver(drain(receiver.port, scheme="otlp+https"), LINE)
    assert [one.text for one in records(receiver)] == ["hello"]


def test_an_empty_block_is_not_sent(receiver: HttpReceiver) -> None:
    deliver(drain(receiver.port), block(batch(b"")), block())
    assert receiver.connection_count == 0


def test_what_is_rejected_of_a_block_is_lost_and_not_sent_again(receiver: HttpReceiver) -> None:
    receiver.answer(response(2, "timestamp too old"))
    with pytest.raises(DrainRefused) as caught:
        deliver(drain(receiver.port), block(batch(b"a\nb\nc\n")))
    assert str(caught.value) == "it rejected 2 of 3 lines: timestamp too old"
    assert caught.value.taken_lines == 1


@pytest.mark.parametrize(
    "secret",
    ["pass/word", "user", "a-key", "A-KEY", "the%2Dpath", "the-path", "of-bearer", "of-token"],
)
def test_a_reason_that_repeats_a_secret_is_not_repeated(
    receiver: HttpReceiver, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer(response(1, f"no quota for {secret}!"))
    receiver.answer(response(0, f"no quota for {secret}!"))
    made = drain(
        receiver.port,
        path="/the%2Dpath",
        user="user",
        password="pass/word",
        parameters=[
            ("header.key", "a-key"),
            ("header.X-Authorization", "Bearer of-bearer"),
            ("header.X-Token", 'Token token="of-token", id=1'),
        ],
    )

    async def work(made: OtlpDrain) -> None:
        with pytest.raises(DrainRefused) as caught:
            await made.deliver(LINE)
        assert str(caught.value) == "it rejected 1 of 1 lines"
        await made.deliver(LINE)

    with caplog.at_level(logging.WARNING):
        run(made, work)
    assert caplog.records == []


def test_no_more_is_lost_than_was_sent(receiver: HttpReceiver) -> None:
    receiver.answer(response(1000))
    with pytest.raises(DrainRefused) as caught:
        deliver(drain(receiver.port), block(batch(b"a\nb\n")))
    assert caught.value.taken_lines == 0


def test_a_warning_of_a_receiver_that_took_everything_is_logged_once(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    for message in ("slow down", "slow down", "more"):
        receiver.answer(response(0, message))
    with caplog.at_level(logging.WARNING):
        deliver(drain(receiver.port), LINE, LINE, LINE)
    assert [one.getMessage().rpartition(": ")[2] for one in caplog.records] == ["slow down", "more"]


@pytest.mark.parametrize("number", [429, 502, 503, 504])
def test_a_block_may_be_taken_later_after_these_statuses(
    receiver: HttpReceiver, number: int
) -> None:
    receiver.answer(status(number, headers={"Retry-After": "7"}))
    with pytest.raises(DrainError) as caught:
        deliver(drain(receiver.port), LINE)
    assert not isinstance(caught.value, DrainRefused | DrainUnreachable)
    assert caught.value.retry_seconds == 7
    assert f"it answered {number} (" in str(caught.value)


def test_a_block_is_the_same_when_it_is_tried_again(receiver: HttpReceiver) -> None:
    parts = [LogBlock(f"{number:032}", [batch(b"x\n")], 1) for number in range(12)]

    async def work(made: OtlpDrain) -> None:
        for part in parts:
            for _ in range(3):
                receiver.answer(status(503))
                with pytest.raises(DrainError):
                    await made.deliver(part)
            if part is not parts[-2]:  # which is given up
                await made.deliver(part)

    run(drain(receiver.port), work)
    times = [one.time - TIME for one in records(receiver)]
    assert times == [number for number in range(12) for _ in range(3 if number == 10 else 4)]


@pytest.mark.parametrize("number", [400, 401, 403, 404, 405, 408, 413, 415, 500, 501])
def test_a_block_is_refused_after_every_other_status(receiver: HttpReceiver, number: int) -> None:
    receiver.answer(status(number, b"what was sent", PROTOBUF))
    with pytest.raises(DrainRefused) as caught:
        deliver(drain(receiver.port), LINE)
    assert caught.value.taken_lines == 0
    assert "what was sent" not in str(caught.value)


def test_a_redirect_is_not_followed(receiver: HttpReceiver) -> None:
    receiver.answer(status(307, headers={"Location": receiver.url}))
    with pytest.raises(DrainRefused, match="redirects are not followed"):
        deliver(drain(receiver.port), LINE)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [status(200), status(202), status(204), status(200, b"{}", {"Content-Type": "a/json"})],
)
def test_a_receiver_that_says_less_than_it_should_has_the_lines(
    receiver: HttpReceiver, answer: HttpAnswer
) -> None:
    receiver.answer(answer)
    deliver(drain(receiver.port), LINE)


def test_a_web_page_is_no_success(receiver: HttpReceiver) -> None:
    receiver.answer(status(200, b"<html>", {"Content-Type": "Text/HTML; charset=utf-8"}))
    with pytest.raises(DrainRefused, match="is no OTLP receiver; end the path"):
        deliver(drain(receiver.port), LINE)


@pytest.mark.parametrize(
    "answer",
    [
        status(200, b"\xff", PROTOBUF),
        HttpAnswer(HALF_A_RESPONSE, ending=Ending.CLOSE),
        HttpAnswer(HALF_A_RESPONSE, ending=Ending.HANG),
    ],
    ids=["other", "cut", "slow"],
)
def test_lines_are_not_sent_again_after_a_success_whose_answer_cannot_be_read(
    receiver: HttpReceiver,
    answer: HttpAnswer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "_REST_SECONDS", 0.1)
    receiver.answer(answer)
    with caplog.at_level(logging.WARNING):
        deliver(drain(receiver.port), LINE)
    text = "An OpenTelemetry receiver took all lines, and its answer is not a response of OTLP"
    assert [one.getMessage() for one in caplog.records] == [text]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        HttpAnswer(ending=Ending.CLOSE),
        HttpAnswer(reading=Reading.HEAD, ending=Ending.CLOSE),
        HttpAnswer(b"SSH-2.0-server\r\n"),
        HttpAnswer(b"HTTP/1.1 200 OK\r\nContent-Le", ending=Ending.CLOSE),
    ],
)
def test_a_block_is_delivered_after_a_fault(receiver: HttpReceiver, fault: HttpAnswer) -> None:
    receiver.answer(fault)

    async def work(made: OtlpDrain) -> None:
        with pytest.raises(DrainError):
            await made.deliver(LINE)
        await made.deliver(LINE)

    run(drain(receiver.port), work)
    assert records(receiver)[-1].text == "hello"


def test_nothing_was_sent_where_nothing_listens() -> None:
    with otlp_receiver() as receiver:
        port = receiver.port
    with pytest.raises(DrainUnreachable, match="cannot connect: "):
        deliver(drain(port), LINE)


def test_a_cancelled_delivery_leaves_the_drain_usable(receiver: HttpReceiver) -> None:
    gate = threading.Event()
    receiver.answer(response()._replace(gate=gate))

    async def work(made: OtlpDrain) -> None:
        waiting = asyncio.create_task(made.deliver(LINE))
        await asyncio.to_thread(receiver.wait_for_requests, 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        await made.deliver(block(batch(b"again\n")))

    run(drain(receiver.port), work)
    assert [one.text for one in records(receiver)] == ["hello", "again"]


def test_blocks_that_are_delivered_at_once_all_arrive(receiver: HttpReceiver) -> None:
    async def work(made: OtlpDrain) -> None:
        names = [f"web.{number}" for number in range(1, 9)]
        blocks = [block(batch(b"1\n2\n", name)) for name in names]
        await asyncio.gather(*map(made.deliver, blocks))

    run(drain(receiver.port), work)
    found = records(receiver)
    for number in range(1, 9):
        of_dyno = [one for one in found if one.resource["heroku.dyno.name"] == f"web.{number}"]
        assert [one.text for one in of_dyno] == ["1", "2"]


def test_no_descriptor_is_inherited(receiver: HttpReceiver) -> None:
    async def work(made: OtlpDrain) -> None:
        before = set(os.listdir("/proc/self/fd"))
        await made.deliver(LINE)
        opened = [int(one) for one in set(os.listdir("/proc/self/fd")) - before]
        flags = [
            fcntl.fcntl(one, fcntl.F_GETFD)
            for one in opened
            if os.path.exists(f"/proc/self/fd/{one}")
        ]
        assert flags
        assert all(one & fcntl.FD_CLOEXEC for one in flags)

    run(drain(receiver.port), work)


def test_the_largest_block_arrives_whole(receiver: HttpReceiver) -> None:
    limits = OtlpDrain.limits
    line = b"x" * (limits.bytes // limits.lines - 1) + b"\n"
    long = b"y" * (1 << 20) + b"\n"
    deliver(drain(receiver.port), block(batch(line * limits.lines)), block(batch(long)))
    found = records(receiver)
    assert len(found) == limits.lines + 1
    assert len(found[-1].text) == 1 << 20


def test_a_drain_is_made_without_loading_protobuf(tmp_path: Path) -> None:
    import subprocess

    program = (
        "import sys\n"
        "from hsup.api import Settings\n"
        "from hsup.log_drain import Destination, DrainURL\n"
        "from hsup_log_drain.hooks import hsup_register_log_drains\n"
        "assert 'hsup_log_drain.otlp' not in sys.modules\n"
        "kinds = hsup_register_log_drains()\n"
        "url = DrainURL('otlp+http', '127.0.0.1')\n"
        "settings = Settings(directory='/', environ={})\n"
        "kinds['otlp+http'](Destination(url, 'd.x', settings))\n"
        "print([name for name in sys.modules if name.startswith(('google', 'opentelemetry.'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.proto"])
def test_a_package_that_is_missing_is_named_when_the_drain_is_made(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.proto", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError) as caught:
        drain(4318)
    assert "needs the package opentelemetry-proto, which is not installed" in str(caught.value)
    assert f"{sys.executable} -m pip install 'opentelemetry-proto>=" in str(caught.value)


@pytest.mark.parametrize("version", ["0.99.1", "1.35.0", "1.4"])
def test_a_package_that_is_too_old_is_named_when_the_drain_is_made(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / f"opentelemetry_proto-{version}.dist-info"
    directory.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: opentelemetry-proto\nVersion: {version}\n"
    (directory / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as caught:
        drain(4318)
    text = f"needs the package opentelemetry-proto 1.36 or later, and {version} is installed"
    assert text in str(caught.value)
    assert f"{sys.executable} -m pip install 'opentelemetry-proto>=1.36'" in str(caught.value)


def test_both_schemes_are_registered() -> None:
    kinds = hsup_register_log_drains()
    for scheme in ("otlp+http", "otlp+https"):
        url = DrainURL(scheme, "127.0.0.1")
        made = kinds[scheme](Destination(url, "d.token", Settings(directory="/", environ={})))
        assert isinstance(made, OtlpDrain)
