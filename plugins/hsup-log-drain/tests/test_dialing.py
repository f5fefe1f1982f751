from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from hsup.errors import DrainUnreachable
from hsup_log_drain.addresses import Address
from hsup_log_drain.dialing import dial

from .blocks import LONG_ENOUGH_SECONDS, in_loop

_SECONDS = 0.3
#: If each had all the time, they would take longer than a test may.
_MANY = int(2 * LONG_ENOUGH_SECONDS / _SECONDS)


@in_loop
async def test_all_addresses_of_a_host_have_the_time_together() -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        for _ in range(3):  # its queue is full then
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        address = Address(socket.AF_INET, deaf.getsockname())
        with pytest.raises(DrainUnreachable, match="cannot connect: no answer within"):
            await dial([address] * _MANY, (), _SECONDS)


@in_loop
async def test_the_address_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # and does not listen
        addresses = [Address(socket.AF_INET, one.getsockname()) for one in (other, server)]
        options = ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),)
        with await dial(addresses, options, LONG_ENOUGH_SECONDS) as connected:
            assert connected.getpeername() == server.getsockname()
            assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@in_loop
async def test_a_host_without_an_address_is_unreachable() -> None:
    with pytest.raises(DrainUnreachable, match="cannot connect: its host has no address"):
        await dial([], (), _SECONDS)
