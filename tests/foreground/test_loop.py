from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from hsup.foreground.loop import Loop, is_writable


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            pass  # the test has


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    try:
        while True:
            os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        pass


def test_a_reader_is_called_when_there_is_something_to_read(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    loop, read = Loop(), []
    loop.add_reader(reading, lambda: read.append(os.read(reading, 100)))
    loop.call_later(0, lambda: os.write(writing, b"word"))
    loop.run_once()
    loop.run_once()
    assert read == [b"word"]


def test_a_reader_and_a_writer_of_one_descriptor_are_called_for_what_is_theirs() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop, called = Loop(), []
        loop.add_reader(ours.fileno(), lambda: called.append("read"))
        loop.add_writer(ours.fileno(), lambda: called.append("write"))
        loop.run_once()
        assert called == ["write"]
        fill(ours.fileno())
        theirs.send(b"x")
        loop.run_once()
        assert called == ["write", "read"]
        loop.remove_reader(ours.fileno())
        theirs.recv(1 << 22)
        loop.run_once()
        assert called == ["write", "read", "write"]


def test_the_end_of_the_other_side_is_told_to_both(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    loop, called = Loop(), []
    loop.add_reader(reading, lambda: called.append("read"))
    os.close(writing)
    loop.run_once()
    assert called == ["read"]


def test_a_writer_is_told_that_nobody_reads_any_more(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    fill(writing)
    loop, called = Loop(), []
    loop.add_writer(writing, lambda: called.append("write"))
    os.close(reading)
    loop.run_once()
    assert called == ["write"]


def test_what_was_removed_in_the_same_turn_is_not_called(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    other = os.dup(reading)
    loop, called = Loop(), []

    def take(own: int, others: int) -> None:
        called.append(own)
        loop.remove_reader(others)

    loop.add_reader(reading, partial(take, reading, other))
    loop.add_reader(other, partial(take, other, reading))
    os.write(writing, b"x")
    loop.run_once()
    os.close(other)
    assert len(called) == 1


def test_to_remove_what_is_not_there_is_nothing(pipe: tuple[int, int]) -> None:
    loop = Loop()
    loop.remove_reader(pipe[0])
    loop.remove_writer(-1)


def test_timers_are_called_once_in_their_turn() -> None:
    loop, called = Loop(), []
    loop.call_later(0.02, lambda: called.append("second"))
    loop.call_later(0, lambda: called.append("first"))
    loop.call_later(1e9, lambda: called.append("never"))
    loop.run_once()
    assert called == ["first"]
    loop.run_once()
    assert called == ["first", "second"]


def test_a_timer_may_be_further_away_than_the_kernel_waits(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    loop, called = Loop(), []
    loop.call_later(1e9, lambda: called.append("never"))
    loop.add_reader(reading, lambda: called.append("read"))
    os.write(writing, b"x")
    loop.run_once()
    assert called == ["read"]


def test_a_timer_may_set_another() -> None:
    loop, called = Loop(), []
    loop.call_later(0, lambda: loop.call_later(0, lambda: called.append("second")))
    loop.run_once()
    assert called == []
    loop.run_once()
    assert called == ["second"]


def test_a_wait_for_room_ends_with_it(pipe: tuple[int, int]) -> None:
    _, writing = pipe
    woken, wake = os.pipe()
    os.write(wake, b"x")
    assert Loop().wait_writable(writing, woken, lambda: pytest.fail("not needed"))
    os.close(woken)
    os.close(wake)


def test_while_there_is_no_room_one_other_and_timers_are_called(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    fill(writing)
    woken, wake = os.pipe()
    loop = Loop()
    called: list[object] = []
    loop.add_reader(reading, lambda: called.append("never"))

    def wait() -> object:
        return loop.wait_writable(writing, woken, lambda: called.append(os.read(woken, 1)))

    os.write(wake, b"x")
    assert not wait()
    assert called == [b"x"]
    loop.call_later(0.01, lambda: called.append("timer"))
    while not called[1:]:
        assert not wait()
    assert called == [b"x", "timer"]
    os.close(woken)
    os.close(wake)


def test_a_last_look_for_room_takes_as_long_as_it_may(pipe: tuple[int, int]) -> None:
    _, writing = pipe
    assert is_writable(writing, 0)
    fill(writing)
    started = time.monotonic()
    assert not is_writable(writing, 0.05)
    assert time.monotonic() - started >= 0.05
