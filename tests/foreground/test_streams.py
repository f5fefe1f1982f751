from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from hsup.foreground.loop import Loop
from hsup.foreground.streams import Feed, Output


@pytest.fixture
def standard_input() -> Iterator[tuple[int, Callable[[], None]]]:
    """Make a pipe the standard input; return its writing end."""
    kept = os.dup(0)
    reading, writing = os.pipe()
    os.dup2(reading, 0)
    os.close(reading)
    ends = [writing]

    def close() -> None:
        os.close(ends.pop())

    yield writing, close
    os.dup2(kept, 0)
    os.close(kept)
    while ends:
        close()


class Taken:
    """A sink that accepts as much as it has room for."""

    def __init__(self, descriptor: int, room: int) -> None:
        self.room, self.taken, self.has_ended = room, b"", False
        self.fileno = lambda: descriptor

    def write(self, data: bytes) -> int:
        if not self.room:
            raise BlockingIOError
        if self.room < 0:
            raise BrokenPipeError
        part = data[: self.room]
        self.room -= len(part)
        self.taken += part
        return len(part)

    def end(self) -> None:
        assert not self.has_ended
        self.has_ended = True


def test_all_is_written_though_the_stream_takes_it_in_pieces(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    data, read = os.urandom(1 << 20), []

    def drain() -> None:
        while part := os.read(reading, 1 << 16):
            read.append(part)

    draining = threading.Thread(target=drain)
    draining.start()
    output = Output(lambda _: True)
    assert output.write(writing, data)
    os.close(writing)
    draining.join()
    assert b"".join(read) == data


def test_a_stream_that_takes_no_more_is_not_written_to_again(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    asked = []
    output = Output(lambda stream: asked.append(stream) or True)
    assert not output.write(writing, b"one")
    assert not output.write(writing, b"two")
    assert asked == [writing]
    assert isinstance(output.broken[writing], BrokenPipeError)


def test_a_stream_without_room_is_given_up_as_one_that_nobody_reads(pipe: tuple[int, int]) -> None:
    _, writing = pipe
    output = Output(lambda _: False)
    assert not output.write(writing, b"one")
    assert isinstance(output.broken[writing], BrokenPipeError)


def test_what_goes_wrong_while_there_is_no_room_is_no_fault_of_the_stream(
    pipe: tuple[int, int],
) -> None:
    def fail(_: int) -> bool:
        raise OSError("something else")

    output = Output(fail)
    with pytest.raises(OSError, match="something else"):
        output.write(pipe[1], b"one")
    assert output.broken == {}


def test_the_reason_that_a_stream_takes_no_more_is_kept() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        output = Output(lambda _: True)
        assert not output.write(full.fileno(), b"x")
        assert output.broken[full.fileno()].strerror == "No space left on device"


def test_the_input_is_passed_on_with_its_end(
    pipe: tuple[int, int], standard_input: tuple[int, Callable[[], None]]
) -> None:
    typed, close = standard_input
    loop, sink = Loop(), Taken(pipe[1], 100)
    Feed(loop, sink)
    os.write(typed, b"word")
    loop.run_once()
    assert (sink.taken, sink.has_ended) == (b"word", False)
    close()
    loop.run_once()
    assert sink.has_ended


def test_the_end_follows_what_the_dyno_had_no_room_for(
    pipe: tuple[int, int], standard_input: tuple[int, Callable[[], None]]
) -> None:
    typed, close = standard_input
    loop, sink = Loop(), Taken(pipe[1], 3)
    Feed(loop, sink)
    os.write(typed, b"words")
    close()
    for _ in range(4):
        loop.run_once()
    assert (sink.taken, sink.has_ended) == (b"wor", False)
    sink.room = 100
    loop.run_once()
    assert (sink.taken, sink.has_ended) == (b"words", True)


def test_no_more_is_read_than_the_dyno_may_be_behind(
    pipe: tuple[int, int], standard_input: tuple[int, Callable[[], None]]
) -> None:
    typed, _ = standard_input
    loop, sink = Loop(), Taken(pipe[1], 0)
    Feed(loop, sink)
    os.set_blocking(typed, False)
    written = 0
    for _ in range(20):
        try:
            written += os.write(typed, b"x" * 4096 * 16)
        except BlockingIOError:
            break
        for _ in range(4):
            loop.run_once()
    assert written < 1 << 20
    sink.room = 1 << 21
    os.set_blocking(typed, True)
    while len(sink.taken) < written:
        loop.run_once()
    assert len(sink.taken) == written


def test_a_dyno_that_reads_no_more_has_nothing_read(
    pipe: tuple[int, int], standard_input: tuple[int, Callable[[], None]]
) -> None:
    typed, _ = standard_input
    loop, sink = Loop(), Taken(pipe[1], -1)
    Feed(loop, sink)
    os.write(typed, b"first")
    loop.run_once()
    assert sink.has_ended
    os.write(typed, b"for others")
    loop.call_later(0.01, lambda: None)
    loop.run_once()
    assert os.read(0, 100) == b"for others"


def test_what_comes_when_it_is_stopped_is_left_to_others(
    pipe: tuple[int, int], standard_input: tuple[int, Callable[[], None]]
) -> None:
    typed, _ = standard_input
    loop, sink = Loop(), Taken(pipe[1], 100)
    Feed(loop, sink).stop()
    os.write(typed, b"for others")
    loop.call_later(0.01, lambda: None)
    loop.run_once()
    assert (sink.taken, os.read(0, 100)) == (b"", b"for others")


@pytest.mark.parametrize(("path", "content"), [("/dev/null", b""), ("/", b""), (__file__, None)])
@pytest.mark.usefixtures("standard_input")
def test_a_file_is_read_to_its_end_and_a_directory_is_at_its_end(
    pipe: tuple[int, int], path: str, content: bytes | None
) -> None:
    opened = os.open(path, os.O_RDONLY)
    os.dup2(opened, 0)
    os.close(opened)
    loop, sink = Loop(), Taken(pipe[1], 1 << 20)
    Feed(loop, sink)
    while not sink.has_ended:
        loop.run_once()
    if content is None:
        with open(path, "rb") as file:
            content = file.read()
    assert sink.taken == content
