"""Receivers that are away, slow, or broken: what a drain says, and that it works afterwards."""

from __future__ import annotations

import asyncio
import os
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsup.errors import DrainError, DrainRefused, DrainUnreachable
from hsup.log_drain import LogDrain
from hsup_log_drain.testing import OK, Authority, Ending, HttpAnswer, HttpReceiver, Reading, status

from .delivering import batch, block, deliver, opened, with_drain

pytestmark = pytest.mark.usefixtures("short_waits")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _fails(url: str) -> DrainError:
    with pytest.raises(DrainError) as caught:
        deliver(url)
    return caught.value


def test_a_refused_connection_sends_nothing() -> None:
    error = _fails(f"http://127.0.0.1:{_free_port()}")
    assert isinstance(error, DrainUnreachable)
    assert str(error) == "cannot connect: Connection refused"


@contextmanager
def _deaf(address: str = "127.0.0.1") -> Iterator[int]:
    """Yield a port that answers no attempt to connect: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((address, 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_a_host_that_does_not_answer_is_unreachable() -> None:
    with _deaf() as port:
        error = _fails(f"http://127.0.0.1:{port}")
    assert isinstance(error, DrainUnreachable)
    assert str(error).startswith("cannot connect: no answer within")


def test_the_addresses_of_a_host_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with _deaf("127.0.0.2") as port, HttpReceiver(port) as receiver:
        _resolve_to(monkeypatch, lambda: ["127.0.0.2", "127.0.0.3", "127.0.0.1"])
        deliver(f"http://logs.example:{port}")
        assert receiver.requests[0].headers["host"] == f"logs.example:{port}"


def _resolve_to(monkeypatch: pytest.MonkeyPatch, addresses: Callable[[], list[str]]) -> None:
    """Have a resolver that knows what a function returns."""
    real = socket.getaddrinfo

    def resolve(_host: str, port: int, **more: Any) -> Any:
        if not (found := addresses()):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [one for address in found for one in real(address, port, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_name_that_does_not_resolve_is_asked_for_again(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[str] = []
    _resolve_to(monkeypatch, lambda: known)

    async def use(drain: LogDrain) -> None:
        with pytest.raises(DrainUnreachable, match="cannot resolve its host: Name or service"):
            await drain.deliver(block())
        known.append("127.0.0.1")
        await drain.deliver(block())

    with_drain(f"http://logs.example:{receiver.port}", use)
    assert len(receiver.requests) == 1


def test_a_new_connection_goes_to_the_present_address(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ["127.0.0.1"]
    _resolve_to(monkeypatch, lambda: addresses)
    receiver.answer(status(200, headers={"Connection": "close"}))
    with HttpReceiver(receiver.port, host="127.0.0.2") as other:

        async def use(drain: LogDrain) -> None:
            await drain.deliver(block())
            addresses[:] = ["127.0.0.2"]
            await drain.deliver(block())

        with_drain(f"http://logs.example:{receiver.port}", use)
        assert len(receiver.requests) == len(other.requests) == 1


def test_a_receiver_that_closes_after_each_answer_gets_all(receiver: HttpReceiver) -> None:
    receiver.always_answer(OK._replace(ending=Ending.CLOSE))
    deliver(receiver.url, *(block() for _ in range(10)))
    assert [one.connection for one in receiver.requests] == list(range(1, 11))


def test_a_receiver_that_says_so_is_not_sent_more_on_its_connection(
    receiver: HttpReceiver,
) -> None:
    receiver.always_answer(status(200, b"ok", {"Connection": "close"}))
    deliver(receiver.url, block(), block())
    assert [one.connection for one in receiver.requests] == [1, 2]


def test_an_idle_connection_that_is_closed_at_its_next_use_is_no_failure(
    receiver: HttpReceiver,
) -> None:
    receiver.answer(OK)
    receiver.answer(HttpAnswer(ending=Ending.CLOSE))
    deliver(receiver.url, block(), block())
    assert [one.connection for one in receiver.requests] == [1, 1, 2]
    ids = [one.headers["logplex-frame-id"] for one in receiver.requests]
    assert ids[1] == ids[2] != ids[0]


def test_a_receiver_that_always_closes_without_an_answer_has_failed(
    receiver: HttpReceiver,
) -> None:
    receiver.always_answer(HttpAnswer(ending=Ending.CLOSE))
    error = _fails(receiver.url)
    assert type(error).__base__ is DrainError
    assert str(error) == "it closed the connection without an answer"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("reading", [Reading.HEAD, Reading.NOTHING])
def test_a_receiver_may_close_in_the_middle_of_a_request(
    receiver: HttpReceiver, reading: Reading
) -> None:
    receiver.answer(HttpAnswer(reading=reading, ending=Ending.CLOSE))

    async def use(drain: LogDrain) -> None:
        with pytest.raises(DrainError):
            await drain.deliver(block(batch(b"x" * 5_000_000)))
        await drain.deliver(block())

    with_drain(receiver.url, use)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("data", [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_receiver_may_close_in_the_middle_of_its_answer(
    receiver: HttpReceiver, data: bytes
) -> None:
    receiver.always_answer(HttpAnswer(data, ending=Ending.CLOSE))
    assert str(_fails(receiver.url)) == "it closed the connection in the middle of its answer"


def test_a_receiver_that_closes_one_direction_gets_all(receiver: HttpReceiver) -> None:
    receiver.always_answer(OK._replace(ending=Ending.HALF_CLOSE))
    blocks = [block(), block()]
    deliver(receiver.url, *blocks)
    # Whether the end is seen before the second block is sent over its connection is chance.
    ids = [one.headers["logplex-frame-id"] for one in receiver.requests]
    assert list(dict.fromkeys(ids)) == [one.id.upper() for one in blocks]


def test_an_answer_before_the_request_is_read_counts(receiver: HttpReceiver) -> None:
    too_large = status(413)._replace(reading=Reading.HEAD, ending=Ending.HANG)
    receiver.answer(too_large)
    with pytest.raises(DrainRefused, match="413"):
        deliver(receiver.url, block(batch(b"x" * 5_000_000)))


def test_a_receiver_that_never_reads_is_not_waited_for(receiver: HttpReceiver) -> None:
    receiver.answer(HttpAnswer(reading=Reading.NOTHING, ending=Ending.HANG))

    async def use(drain: LogDrain) -> None:
        with pytest.raises(DrainError, match="did not answer within"):
            await drain.deliver(block(batch(b"x" * 5_000_000)))
        await drain.deliver(block())

    with_drain(receiver.url, use)


def test_a_receiver_that_does_not_answer_is_not_waited_for(receiver: HttpReceiver) -> None:
    receiver.answer(HttpAnswer(ending=Ending.HANG))
    assert "did not answer within" in str(_fails(receiver.url))


def test_an_answer_of_a_byte_now_and_then_is_not_waited_for(receiver: HttpReceiver) -> None:
    receiver.answer(OK._replace(pause_seconds=0.1))
    assert "did not answer within" in str(_fails(receiver.url))


def test_a_status_counts_although_the_rest_does_not_come(receiver: HttpReceiver) -> None:
    for headers in (b"Content-Length: 10", b"Transfer-Encoding: chunked", b"X: y"):
        data = b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n"
        receiver.answer(HttpAnswer(data, ending=Ending.HANG))
    deliver(receiver.url, *[block()] * 4)
    assert [one.connection for one in receiver.requests] == [1, 2, 3, 4]


def test_of_a_huge_answer_only_the_status_is_read(receiver: HttpReceiver) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    huge = HttpAnswer(data, b"x" * 100_000, 1000)
    receiver.answer(huge, 2)
    receiver.answer(huge._replace(data=data.replace(b"200", b"500")))

    async def use(drain: LogDrain) -> None:
        tracemalloc.start()
        await drain.deliver(block())
        await drain.deliver(block())
        with pytest.raises(DrainError, match="500"):
            await drain.deliver(block())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2_000_000
        await drain.deliver(block())

    with_drain(receiver.url, use)


@pytest.mark.parametrize(
    "data",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 999999 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n secret\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"secret" * 10_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
        b"\x00" * 100_000,
    ],
)
def test_nonsense_is_an_error_that_does_not_repeat_it(receiver: HttpReceiver, data: bytes) -> None:
    receiver.answer(HttpAnswer(data, ending=Ending.HANG))
    error = _fails(receiver.url)
    assert type(error) is DrainError
    assert str(error).startswith("its answer ")
    assert "secret" not in "".join(map(str, (error, error.__cause__)))


_PARTS = [
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"200", b"204", b"100", b"503", b" OK", b"\r\n", b"\n", b": "),
    *(b"Content-Length: ", b"Transfer-Encoding: ", b"Connection: ", b"Retry-After: ", b"Upgrade"),
    *(b"chunked", b"close", b"keep-alive", b"0", b"5", b"-1", b"hello", b"\x00", b"\xff", b" "),
]


@given(st.lists(st.one_of(st.sampled_from(_PARTS), st.binary(max_size=8)), max_size=20))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_answer_is_a_delivery_or_an_error(parts: list[bytes]) -> None:
    with HttpReceiver() as receiver:
        data = b"HTTP/1.1 200 OK\r\n" * (len(parts) % 2) + b"".join(parts)
        receiver.answer(HttpAnswer(data, ending=Ending.CLOSE))
        try:
            deliver(receiver.url)
        except DrainError:
            return
        assert data.lstrip().startswith(
            (b"HTTP/1.1 2", b"HTTP/1.0 2", b"HTTP/1.1 1", b"HTTP/1.0 1")
        )


def test_an_informational_answer_comes_before_the_real_one(receiver: HttpReceiver) -> None:
    receiver.answer(OK._replace(data=b"HTTP/1.1 102 Processing\r\n\r\n" + OK.data))
    deliver(receiver.url, block(), block())
    assert [one.connection for one in receiver.requests] == [1, 1]


@pytest.mark.parametrize("more", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"garbage"])
def test_what_follows_an_answer_is_not_the_next_one(receiver: HttpReceiver, more: bytes) -> None:
    receiver.answer(OK._replace(data=OK.data + more))
    deliver(receiver.url, block(), block())
    assert [one.connection for one in receiver.requests] == [1, 2]


def test_a_connection_that_is_idle_or_old_is_closed(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(drain: LogDrain) -> None:
        monkeypatch.setattr("hsup_log_drain.http.client._IDLE_SECONDS", 0.01)
        await drain.deliver(block())
        await asyncio.to_thread(receiver.wait_until, lambda: receiver.open_connections == 0)
        monkeypatch.setattr("hsup_log_drain.http.client._LIFE_SECONDS", 0.0)
        await drain.deliver(block())
        await asyncio.to_thread(receiver.wait_until, lambda: receiver.open_connections == 0)

    with_drain(receiver.url, use)


def test_a_drain_with_connections_closes_at_once(receiver: HttpReceiver) -> None:
    receiver.answer(OK)
    receiver.answer(HttpAnswer(ending=Ending.HANG), 3)

    async def use(drain: LogDrain) -> None:
        await drain.deliver(block())
        posts = [asyncio.ensure_future(drain.deliver(block())) for _ in range(3)]
        await asyncio.to_thread(receiver.wait_for_requests, 4)
        await drain.close()
        await drain.close()
        await asyncio.wait(posts)
        assert all(isinstance(one.exception(), DrainError) for one in posts)

    with_drain(receiver.url, use)


class _CancelledAt:
    """Awaits a coroutine, whose task is cancelled when it waits for the nth time."""

    def __init__(self, delivering: Any, number: int) -> None:
        self._delivering = delivering
        self._number = number

    def __await__(self) -> Any:
        steps = self._delivering.__await__()
        number, send = 0, steps.__next__
        while True:
            try:
                waiting = send()
            except StopIteration:
                return
            if number == self._number:
                asyncio.current_task().cancel()
            number += 1
            try:
                yield waiting
                send = steps.__next__
            except BaseException as error:  # noqa: BLE001 - the coroutine gets it
                send = lambda error=error: steps.throw(error)  # noqa: E731


@pytest.mark.parametrize("has_tls", [False, True])
@pytest.mark.parametrize(("is_reused", "least"), [(False, 4), (True, 1)])
def test_a_drain_can_be_used_after_a_cancellation_anywhere(
    authority: Authority, is_reused: bool, least: int, has_tls: bool
) -> None:
    async def is_cancelled(drain: LogDrain, number: int) -> bool:
        if is_reused:
            await drain.deliver(block())
        try:
            await _CancelledAt(drain.deliver(block()), number)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return True
        return False

    async def count(url: str) -> int:
        for number in range(100):
            async with opened(url) as drain:
                if not await is_cancelled(drain, number):
                    return number
                await drain.deliver(block())
        return pytest.fail("it waits for ever")

    tls = authority.issue("server").server_context() if has_tls else None
    with HttpReceiver(tls=tls) as receiver:
        assert asyncio.run(count(f"{receiver.url}/?ca={authority.certificate}")) >= least
        receiver.wait_until(lambda: receiver.open_connections == 0)
        assert receiver.invalid == []


def test_no_descriptor_is_inherited(receiver: HttpReceiver) -> None:
    async def use(drain: LogDrain) -> None:
        await asyncio.gather(*(drain.deliver(block()) for _ in range(4)))
        links = [
            (one.name, os.readlink(one))
            for one in Path("/proc/self/fd").iterdir()
            if one.is_symlink()
        ]
        sockets = [int(number) for number, link in links if link.startswith("socket:")]
        assert len(sockets) >= 4
        assert not any(os.get_inheritable(number) for number in sockets)

    with_drain(receiver.url, use)


def test_a_drain_that_sent_nothing_can_be_closed() -> None:
    async def use(drain: LogDrain) -> None:
        assert drain.limits.lanes == 4

    with_drain("http://127.0.0.1:9", use)
