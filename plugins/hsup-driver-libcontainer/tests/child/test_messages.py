from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from hsup_driver_libcontainer.child import messages
from hsup_driver_libcontainer.child.messages import Built, Connect, Exited, Failed, Launch, Signal


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = messages.pair()
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
def test_a_message_arrives_as_it_was_sent(channel, message):
    here, there = channel
    messages.send(here, message)
    assert messages.receive(there) == (message, ())


def test_descriptors_arrive_with_a_message(channel):
    here, there = channel
    reading, writing = os.pipe()
    messages.send(here, Launch(), [writing])
    received = messages.receive(there)
    os.write(received.descriptors[0], b"x")
    assert os.read(reading, 1) == b"x"
    for descriptor in (reading, writing, *received.descriptors):
        os.close(descriptor)


def test_the_end_of_the_other_one_is_no_message(channel):
    here, there = channel
    here.close()
    assert messages.receive(there) is None


def test_the_last_words_of_one_that_ended_before_it_read_all_are_heard():
    ours, theirs = messages.pair()
    with ours:
        messages.send(ours, Connect("never read"))
        messages.send(theirs, Failed("no room"))
        theirs.close()
        received = messages.receive(ours)
        assert received is not None
        assert received.message == Failed("no room")
        assert messages.receive(ours) is None


def test_descriptors_that_find_no_room_are_an_error_and_none_is_left(channel, descriptors_left):
    here, there = channel
    messages.send(here, Launch(), [0, 1, 2])
    messages.send(here, Signal(15))
    with descriptors_left(1):
        with pytest.raises(OSError, match="Too many open files"):
            messages.receive(there)
        os.close(os.open("/", os.O_PATH))
    assert messages.receive(there) == (Signal(15), ())
