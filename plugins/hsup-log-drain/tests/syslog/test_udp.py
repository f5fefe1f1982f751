"""Datagrams to a receiver that is there, or is not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from hsup.errors import DrainUnreachable
from hsup.log_drain import DrainURL, LogBlock, LogDrain
from hsup_log_drain.syslog import udp
from hsup_log_drain.testing.rsyslog import free_port

from .sending import HEAD, TOKEN, batch, block, block_of, inherited, numbered, opened, opened_at


class _Receiver:
    def __init__(self, taking: socket.socket) -> None:
        self._socket = taking
        self.port: int = taking.getsockname()[1]

    def make_room(self) -> None:
        """Have the buffer hold as much as the system allows."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)

    def close(self) -> None:
        self._socket.close()

    def taken(self) -> Sequence[bytes]:
        """Return what has come: datagrams of this machine are there as soon as they are sent."""
        datagrams = []
        while True:
            try:
                datagrams.append(self._socket.recv(1 << 16))
            except BlockingIOError:
                return datagrams

    def lines(self) -> Sequence[bytes]:
        taken = self.taken()
        assert all(one.startswith(HEAD) for one in taken)
        return [one[len(HEAD) :] for one in taken]


@contextmanager
def _receiving(port: int = 0) -> Iterator[_Receiver]:
    with socket.socket(type=socket.SOCK_DGRAM) as taking:
        taking.settimeout(0)
        taking.bind(("127.0.0.1", port))
        yield _Receiver(taking)


def _deliver(receiver: _Receiver, *blocks: LogBlock, **parameters: object) -> None:
    async def run() -> None:
        async with opened("syslog+udp", receiver.port, **parameters) as drain:
            for one in blocks:
                await drain.deliver(one)

    asyncio.run(run())


def test_each_line_is_a_datagram_without_its_newline() -> None:
    with _receiving() as receiver:
        _deliver(receiver, block(batch(b"a\n\n\xff\r\n"), batch(b"b")), block(batch(b"c\n")))
        assert receiver.lines() == [b"a", b"", b"\xff\r", b"b", b"c"]


def test_many_lines_are_sent_in_order() -> None:
    lines = numbered(1000)
    with _receiving() as receiver:
        receiver.make_room()
        _deliver(receiver, *(block_of(lines[start : start + 300]) for start in range(0, 1000, 300)))
        taken = receiver.lines()
        # What its buffer has no room for is lost, and nobody is told: such is UDP.
        assert taken == lines[: len(taken)]
        assert len(taken) > 300  # more than are sent at once


def test_one_line_goes_first_until_it_is_clear_that_nothing_refuses_it() -> None:
    lines = numbered(3)

    async def run() -> None:
        with _receiving() as receiver:
            async with opened("syslog+udp", receiver.port) as drain:
                delivering = asyncio.create_task(drain.deliver(block_of(lines)))
                first: Sequence[bytes] = []
                while not first:
                    await asyncio.sleep(0)
                    first = receiver.lines()
                assert first == lines[:1]
                await delivering
                assert receiver.lines() == lines[1:]

    asyncio.run(run())


def test_a_line_that_is_too_long_is_cut_and_this_is_told() -> None:
    with _receiving() as receiver:
        _deliver(receiver, block_of([b"x" * 5000, b"short"]))
        cut, short, told = receiver.taken()
        assert cut == HEAD + b"x" * (2048 - len(HEAD))
        assert short == HEAD + b"short"
        _require_told(told, b"Cut 1 line to fit in datagrams of 2048 bytes since ")


def test_what_was_cut_since_is_told_at_the_end() -> None:
    long = block_of([b"x" * 5000] * 2)
    with _receiving() as receiver:
        _deliver(receiver, long, long, size=480)
        taken = receiver.taken()
        assert list(map(len, taken[:2])) == [480, 480]
        assert list(map(len, taken[3:5])) == [480, 480]
        _require_told(taken[2], b"Cut 2 lines to fit in datagrams of 480 bytes since ")
        _require_told(taken[5], b"Cut 2 lines to fit in datagrams of 480 bytes since ")
        assert len(taken) == 6


def _require_told(datagram: bytes, text: bytes) -> None:
    assert datagram.startswith(b"<45>1 ")
    assert f" {TOKEN} hsup supervisor - - Warning: ".encode() + text in datagram


def test_a_receiver_that_is_not_there_is_unreachable_and_gets_every_line_once_it_is() -> None:
    port = free_port(socket.SOCK_DGRAM)
    lines = numbered(100)

    async def run() -> None:
        async with opened("syslog+udp", port) as drain:
            for _ in range(2):
                await _require_refusal(drain, lines, taken=0)
            with _receiving(port) as receiver:
                await drain.deliver(block_of(lines))
                assert receiver.lines() == lines

    asyncio.run(run())


def test_a_receiver_that_ends_between_blocks_misses_what_is_sent_to_nobody_only() -> None:
    lines = numbered(100)

    async def run() -> None:
        with _receiving() as receiver:
            port = receiver.port
            async with opened("syslog+udp", port) as drain:
                await drain.deliver(block_of([b"a"]))
                assert receiver.lines() == [b"a"]
                receiver.close()
                await _require_refusal(drain, lines, taken=0)
                with _receiving(port) as again:
                    await drain.deliver(block_of(lines))
                    assert again.lines() == lines

    asyncio.run(run())


def test_a_receiver_that_ends_within_a_block_is_noticed_at_the_next_line() -> None:
    lines = numbered(1000, 20)

    async def run() -> None:
        with _receiving() as receiver:
            async with opened("syslog+udp", receiver.port) as drain:
                delivering = asyncio.create_task(drain.deliver(block_of(lines)))
                received: list[bytes] = []
                while len(received) < 200:
                    await asyncio.sleep(0)
                    received += receiver.lines()
                receiver.close()
                with pytest.raises(DrainUnreachable) as failed:
                    await delivering
                assert failed.value.taken_lines == len(received)
                assert received == lines[: len(received)]

    asyncio.run(run())


async def _require_refusal(drain: LogDrain, lines: Sequence[bytes], *, taken: int) -> None:
    with pytest.raises(DrainUnreachable, match="cannot send: Connection refused") as failed:
        await drain.deliver(block_of(lines))
    assert failed.value.taken_lines == taken


def test_a_host_that_does_not_resolve_is_unreachable() -> None:
    async def run() -> None:
        async with opened_at(DrainURL("syslog+udp", "nowhere.invalid")) as drain:
            with pytest.raises(DrainUnreachable, match="cannot resolve its host: "):
                await drain.deliver(block_of([b"a"]))

    asyncio.run(run())


def test_a_host_that_has_moved_is_looked_up_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_RESOLVING_SECONDS", 0.0)
    with _receiving() as first, _receiving() as second:
        answers = iter((first.port, first.port, None, second.port, None))
        find = socket.getaddrinfo

        def answer(*_: object, **how: int) -> object:
            if (port := next(answers)) is None:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return find("127.0.0.1", port, **how)

        monkeypatch.setattr(socket, "getaddrinfo", answer)

        async def run() -> None:
            async with opened_at(DrainURL("syslog+udp", "moves.invalid")) as drain:
                for line in (b"a", b"b", b"c", b"d", b"e"):
                    await drain.deliver(block_of([line]))

        asyncio.run(run())
        assert first.lines() == [b"a", b"b", b"c"]
        assert second.lines() == [b"d", b"e"]


def test_a_delivery_that_is_cancelled_leaves_the_drain_usable() -> None:
    async def run() -> None:
        with _receiving() as receiver:
            async with opened("syslog+udp", receiver.port) as drain:
                for turns in range(1, 6):
                    delivering = asyncio.create_task(drain.deliver(block_of([b"a"])))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    delivering.cancel()
                    await asyncio.wait([delivering])
                receiver.taken()
                await drain.deliver(block_of([b"b", b"c"]))
                assert receiver.lines() == [b"b", b"c"]

    asyncio.run(run())


def test_no_child_inherits_the_socket() -> None:
    async def run() -> None:
        with _receiving() as receiver:
            async with opened("syslog+udp", receiver.port) as drain:
                await drain.deliver(block_of([b"a"]))
                assert set(inherited()) == before

    before = set(inherited())
    asyncio.run(run())


def test_a_drain_is_closed_before_it_is_opened_and_more_than_once() -> None:
    async def run() -> None:
        with _receiving() as receiver:
            async with opened("syslog+udp", receiver.port) as drain:
                await drain.close()
                await drain.deliver(block_of([b"a"]))
                await drain.close()
                await drain.close()
                assert receiver.lines() == [b"a"]

    asyncio.run(run())
