"""One connection to a receiver that does whatever a receiver may do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest

from hsup.errors import DrainError, DrainUnreachable
from hsup.log_drain import DrainURL, LogDrain
from hsup_log_drain.syslog import connection
from hsup_log_drain.testing.octet_counted import take_frames
from hsup_log_drain.testing.rsyslog import free_port

from .receiving import Listener, Peer, listening
from .sending import HEAD, batch, block, block_of, inherited, messages, numbered, opened, opened_at

#: More than the kernels take of what nobody reads.
_MANY = numbered(5000)
_SMALL_BUFFER = 4096
#: As many as that buffer holds.
_UNACKNOWLEDGED_LINES = 20


async def _deliver_and_accept(
    drain: LogDrain, listener: Listener, lines: Sequence[bytes]
) -> tuple[asyncio.Task[None], Peer]:
    delivering = asyncio.create_task(drain.deliver(block_of(lines)))
    return delivering, await listener.accept()


def _whole(data: bytes) -> Sequence[bytes]:
    """Return the lines of the whole frames at the beginning."""
    return [frame[len(HEAD) : -1] for frame in take_frames(data)[0]]


def test_lines_are_framed_in_order() -> None:
    async def run() -> bytes:
        with listening() as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, peer = await _deliver_and_accept(
                    drain, listener, [b"a", b"", b"\xff\r"]
                )
                await delivering
                await drain.deliver(block(batch(b"b\nc")))
            return await peer.read_all()

    assert messages(asyncio.run(run())) == [b"a", b"", b"\xff\r", b"b", b"c"]


def test_a_block_is_delivered_once_everything_is_taken() -> None:
    async def run() -> None:
        with listening(buffer_bytes=_SMALL_BUFFER) as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, peer = await _deliver_and_accept(drain, listener, _MANY)
                data = await peer.read(100_000)
                assert not delivering.done()
                size = 5000 * (len(b"000 ") + len(HEAD) + 100 + len(b"\n"))
                data += await peer.read(size - len(data))
                await delivering
                assert messages(data) == _MANY

    asyncio.run(run())


def test_what_a_receiver_took_before_it_reset_the_connection_is_not_sent_again() -> None:
    async def run() -> None:
        with listening(buffer_bytes=_SMALL_BUFFER) as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, peer = await _deliver_and_accept(drain, listener, _MANY)
                received = await peer.read(100_000)
                received += peer.unread()
                peer.close()
                with pytest.raises(DrainError, match="reset") as failed:
                    await delivering
                taken, whole = failed.value.taken_lines, _whole(received)
                # A few may have arrived without having been acknowledged yet (RFC 1122, 4.2.3.2).
                assert len(whole) - _UNACKNOWLEDGED_LINES <= taken <= len(whole) < len(_MANY)
                rest, peer = await _deliver_and_accept(drain, listener, _MANY[taken:])
                reading = asyncio.create_task(peer.read_all())
                await rest
                await drain.close()
                assert [*whole[:taken], *messages(await reading)] == _MANY

    asyncio.run(run())


def test_a_receiver_that_never_reads_is_given_up_and_what_it_has_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)

    async def run() -> None:
        with listening(buffer_bytes=_SMALL_BUFFER) as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, peer = await _deliver_and_accept(drain, listener, _MANY)
                with pytest.raises(DrainError, match="took nothing for") as failed:
                    await delivering
                # Nothing arrives later that the drain would send again.
                assert failed.value.taken_lines == len(_whole(await peer.read_all()))

    asyncio.run(run())


def test_a_receiver_that_closes_while_nothing_is_sent_is_noticed_before_anything_is() -> None:
    async def run() -> None:
        with listening() as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, first = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                assert messages(first.unread()) == [b"a"]
                await first.read(len(first.unread()))
                first.close()
                delivering, second = await _deliver_and_accept(drain, listener, [b"b"])
                await delivering
                assert messages(second.unread()) == [b"b"]

    asyncio.run(run())


def test_a_receiver_that_half_closes_gets_what_is_under_way_and_is_left_then() -> None:
    async def run() -> None:
        with listening(buffer_bytes=_SMALL_BUFFER) as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, first = await _deliver_and_accept(drain, listener, _MANY)
                taken = await first.read(100_000)
                first.half_close()
                reading = asyncio.create_task(first.read_all())
                await delivering
                delivering, second = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                assert messages(taken + await reading) == _MANY
                assert messages(second.unread()) == [b"a"]

    asyncio.run(run())


def test_a_connection_is_closed_if_the_receiver_closed_it_while_it_took_everything() -> None:
    async def run() -> None:
        with listening(buffer_bytes=_SMALL_BUFFER) as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, peer = await _deliver_and_accept(drain, listener, _MANY)
                taken = await peer.read(100_000)
                peer.half_close()
                reading = asyncio.create_task(peer.read_all())
                await delivering
                assert messages(taken + await reading) == _MANY  # up to the end

    asyncio.run(run())


def test_a_receiver_that_half_closes_while_nothing_is_sent_is_left_at_once() -> None:
    async def run() -> None:
        with listening() as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, first = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                first.half_close()
                assert messages(await first.read_all()) == [b"a"]  # up to the end
                delivering, second = await _deliver_and_accept(drain, listener, [b"b"])
                await delivering
                assert messages(second.unread()) == [b"b"]

    asyncio.run(run())


def test_a_connection_that_broke_unnoticed_is_replaced_without_an_error() -> None:
    async def run() -> None:
        with listening() as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, first = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                first.close()  # resets it, as "a" is unread; nothing runs before the next line
                delivering, second = await _deliver_and_accept(drain, listener, [b"b"])
                await delivering
                assert messages(second.unread()) == [b"b"]

    asyncio.run(run())


def test_what_a_receiver_answers_is_ignored() -> None:
    async def run() -> None:
        with listening() as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, peer = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10_000)
                await drain.deliver(block_of([b"b"]))
                assert messages(peer.unread()) == [b"a", b"b"]

    asyncio.run(run())


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_delivery_that_is_cancelled_leaves_the_drain_usable(*, is_taken: bool) -> None:
    async def run() -> None:
        with listening(buffer_bytes=_SMALL_BUFFER) as listener:
            async with opened("syslog", listener.port) as drain:
                if is_taken:
                    delivering, peer = await _deliver_and_accept(drain, listener, _MANY)
                    await peer.read(100_000)
                else:  # while it looks up the host
                    delivering = asyncio.create_task(drain.deliver(block_of(_MANY)))
                    await asyncio.sleep(0)
                delivering.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await delivering
                again, peer = await _deliver_and_accept(drain, listener, [b"a"])
                await again
                assert messages(peer.unread()) == [b"a"]

    asyncio.run(run())


def test_a_receiver_that_refuses_is_unreachable_until_it_listens() -> None:
    port = free_port(socket.SOCK_STREAM)

    async def run() -> None:
        async with opened("syslog", port) as drain:
            with pytest.raises(DrainUnreachable, match="cannot connect: Connection refused"):
                await drain.deliver(block_of([b"a"]))
            with listening(port=port) as listener:
                delivering, peer = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                assert messages(peer.unread()) == [b"a"]

    asyncio.run(run())


def test_a_host_that_does_not_resolve_is_unreachable() -> None:
    async def run() -> None:
        async with opened_at(DrainURL("syslog", "nowhere.invalid")) as drain:
            with pytest.raises(DrainUnreachable, match="cannot resolve its host: ") as failed:
                await drain.deliver(block_of([b"a"]))
            assert "nowhere" not in str(failed.value)

    asyncio.run(run())


def test_a_host_is_looked_up_anew_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as first, listening() as second:
        ports = iter((first.port, second.port))
        find = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *_, **how: find("127.0.0.1", next(ports), **how),
        )

        async def run() -> None:
            async with opened_at(DrainURL("syslog", "moves.invalid")) as drain:
                delivering, peer = await _deliver_and_accept(drain, first, [b"a"])
                await delivering
                await peer.read(len(peer.unread()))
                peer.close()
                delivering, peer = await _deliver_and_accept(drain, second, [b"b"])
                await delivering
                assert messages(peer.unread()) == [b"b"]

        asyncio.run(run())


def test_no_child_inherits_the_connection() -> None:
    async def run() -> None:
        with listening() as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, _ = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                assert set(inherited()) == before

    before = set(inherited())
    asyncio.run(run())


def test_a_drain_is_closed_before_it_is_opened_and_more_than_once() -> None:
    async def run() -> None:
        with listening() as listener:
            async with opened("syslog", listener.port) as drain:
                await drain.close()
                delivering, peer = await _deliver_and_accept(drain, listener, [b"a"])
                await delivering
                await drain.close()
                await drain.close()
                assert messages(await peer.read_all()) == [b"a"]

    asyncio.run(run())


def test_a_drain_that_is_closed_while_it_delivers_does_so_no_longer() -> None:
    async def run() -> None:
        with listening(buffer_bytes=_SMALL_BUFFER) as listener:
            async with opened("syslog", listener.port) as drain:
                delivering, peer = await _deliver_and_accept(drain, listener, _MANY)
                await peer.read(100_000)
                await drain.close()
                with pytest.raises(DrainError, match="it was closed"):
                    await delivering

    asyncio.run(run())


def test_a_block_is_never_given_up() -> None:
    async def run() -> int | None:
        async with opened("syslog", 514) as drain:
            return drain.limits.tries

    assert asyncio.run(run()) is None
