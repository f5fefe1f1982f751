"""The order in which hsup receives the messages of a dyno's processes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

import pytest

from hsup_driver_libcontainer.child import protocol
from hsup_driver_libcontainer.child.protocol import (
    Built,
    Channels,
    Exited,
    Failed,
    Signal,
    Watch,
)
from hsup_driver_libcontainer.conversation import Conversation


class Readers(dict[int, Callable[[], object]]):
    """An event loop that the test drives."""

    def add_reader(self, descriptor: int, action: Callable[[], object]) -> None:
        self[descriptor] = action

    def remove_reader(self, descriptor: int) -> None:
        self.pop(descriptor, None)


class Told:
    """A conversation, its other ends, and all received messages."""

    def __init__(self, opened: ExitStack) -> None:
        (first, self.first), (setup, self.builder) = protocol.pair(), protocol.pair()
        for one in (first, self.first, setup, self.builder):
            opened.enter_context(one)
        self.process = opened.enter_context(subprocess.Popen(["sleep", "600"]))
        opened.callback(self.process.kill)
        self.readers = Readers()
        self.heard: list[str] = []
        channels = Channels(first, setup, "socket:[0]")
        self.conversation = Conversation(channels, self.readers, self._hear)
        self.hear_builder = self.readers[setup.fileno()]
        self.hear_first = self.readers[first.fileno()]

    def watch(self) -> None:
        pidfd = os.pidfd_open(self.process.pid)
        protocol.send(self.builder, Watch(), [pidfd])
        os.close(pidfd)
        self.hear_builder()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.readers[self.conversation.pidfd]()

    def _hear(self, heard: object, descriptors: Sequence[int]) -> None:
        assert len(descriptors) == isinstance(heard, Watch)
        self.heard.append(repr(heard))  # one without fields is equal to every other


@pytest.fixture
def told() -> Iterator[Told]:
    with ExitStack() as opened:
        yield Told(opened)


def test_the_builder_is_heard_and_gone_before_what_follows_it(told: Told) -> None:
    told.watch()
    told.heard.clear()
    protocol.send(told.builder, Failed("no such file"))
    protocol.send(told.first, Exited(256, is_last=True))
    told.hear_first()
    assert told.heard == [
        "Failed(text='no such file')",
        "BuilderGone()",
        "Exited(status=256, is_last=1)",
    ]


def test_all_that_was_said_is_heard_before_the_end(told: Told) -> None:
    told.watch()
    protocol.send(told.builder, Built(has_copied_owner=True))
    protocol.send(told.first, Exited(0, is_last=False))
    told.first.close()
    told.end()
    assert told.heard == [
        "Watch()",
        "Built(has_copied_owner=1)",
        "BuilderGone()",
        "Exited(status=0, is_last=0)",
        "AllGone()",
    ]
    assert told.conversation.is_over
    assert told.readers == {}


def test_without_a_first_process_the_end_of_the_builder_is_the_end(told: Told) -> None:
    told.builder.close()
    told.hear_builder()
    assert told.heard == ["BuilderGone()", "AllGone()"]


def test_the_builder_may_end_and_the_first_process_live_on(told: Told) -> None:
    told.watch()
    told.builder.close()
    told.hear_builder()
    assert told.heard == ["Watch()", "BuilderGone()"]
    told.end()
    assert told.heard[2:] == ["AllGone()"]


def test_an_end_is_seen_before_anybody_is_called_for_it(told: Told) -> None:
    told.watch()
    told.conversation.catch_up()
    assert told.heard == ["Watch()"]
    told.process.kill()
    told.process.wait()
    for _ in range(2):
        told.conversation.catch_up()
        assert told.heard == ["Watch()", "BuilderGone()", "AllGone()"]


def test_the_end_of_who_was_never_seen_is_no_end_of_a_program(told: Told) -> None:
    protocol.send(told.first, Exited(0, is_last=True))
    told.hear_first()
    assert told.heard == ["BuilderGone()", "AllGone()"]


def test_a_first_process_that_is_not_known_yet_is_waited_for(told: Told) -> None:
    told.conversation.leave()
    assert told.readers == {}
    assert not told.conversation.await_first_process(0.01)
    pidfd = os.pidfd_open(told.process.pid)
    protocol.send(told.builder, Watch(), [pidfd])
    os.close(pidfd)
    assert told.conversation.await_first_process(None)
    told.conversation.close(awaits_end=True)
    assert told.process.poll() == -signal.SIGKILL
    assert told.heard == []


def test_one_that_will_never_be_known_is_not_waited_for(told: Told) -> None:
    told.conversation.leave()
    told.builder.close()
    assert told.conversation.await_first_process(None)
    told.conversation.close(awaits_end=True)
    assert protocol.receive(told.first) is None


def test_a_first_process_is_killed(told: Told) -> None:
    told.watch()
    told.conversation.kill()
    assert told.process.wait() == -signal.SIGKILL
    told.conversation.kill()  # it has just ended
    told.end()
    told.conversation.kill()


def test_one_that_nobody_has_seen_is_left_alone_and_hears_so(told: Told) -> None:
    told.conversation.kill()
    assert protocol.receive(told.first) is None
    assert protocol.receive(told.builder) is None
    told.hear_builder()
    assert told.heard == ["BuilderGone()", "AllGone()"]
    assert told.process.poll() is None


def test_descriptors_that_cannot_be_taken_are_told_and_the_rest_is_heard(
    told: Told, descriptors_left: Callable[[int], AbstractContextManager[None]]
) -> None:
    protocol.send(told.builder, Watch(), [0])
    protocol.send(told.builder, Built(has_copied_owner=False))
    with descriptors_left(0):
        told.hear_builder()
    unheard, built = told.heard
    assert "Too many open files" in unheard
    assert built == "Built(has_copied_owner=0)"


def test_a_signal_is_sent_unless_too_many_of_them_wait(told: Told) -> None:
    for _ in range(10_000):
        told.conversation.signal(signal.SIGUSR1)
    assert protocol.receive(told.first).message == Signal(signal.SIGUSR1)
    told.first.close()
    told.conversation.signal(signal.SIGUSR1)
