from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from hsup_driver_libcontainer.child import protocol
from hsup_driver_libcontainer.child.protocol import Built, Connect, Exited, Failed, Launch, Signal


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = protocol.pair()
    with here, there:
        yield here, there


@pytest.mark.parametrize(
    "message",
    [
        Launch(),
        Signal(15),
        Exited(status=9, is_last=True),
        Built(has_copied_owner=False),
        Connect('["a", ["b  c"]]'),
        Failed("/mnt/a\n b\udcff: No such file or directory"),
        Failed(""),
    ],
)
def test_a_message_arrives_as_it_was_sent(
    channel: tuple[socket.socket, socket.socket], message: Any
) -> None:
    here, there = channel
    protocol.send(here, message)
    assert protocol.receive(there) == (message, ())


def test_descriptors_arrive_with_a_message(channel: tuple[socket.socket, socket.socket]) -> None:
    here, there = channel
    reading, writing = os.pipe()
    protocol.send(here, Launch(), [writing])
    received = protocol.receive(there)
    os.write(received.descriptors[0], b"x")
    assert os.read(reading, 1) == b"x"
    for descriptor in (reading, writing, *received.descriptors):
        os.close(descriptor)


def test_the_end_of_the_other_one_is_no_message(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    here, there = channel
    here.close()
    assert protocol.receive(there) is None


def test_the_last_words_of_one_that_ended_before_it_read_all_are_heard() -> None:
    ours, theirs = protocol.pair()
    with ours:
        protocol.send(ours, Connect("never read"))
        protocol.send(theirs, Failed("no room"))
        theirs.close()
        received = protocol.receive(ours)
        assert received is not None
        assert received.message == Failed("no room")
        assert protocol.receive(ours) is None


def test_descriptors_that_find_no_room_are_an_error_and_none_is_left(
    channel: tuple[socket.socket, socket.socket],
    descriptors_left: Callable[[int], AbstractContextManager[None]],
) -> None:
    here, there = channel
    protocol.send(here, Launch(), [0, 1, 2])
    protocol.send(here, Signal(15))
    with descriptors_left(1):
        with pytest.raises(OSError, match="Too many open files"):
            protocol.receive(there)
        os.close(os.open("/", os.O_PATH))
    assert protocol.receive(there) == (Signal(15), ())
