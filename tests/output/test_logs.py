from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import resource
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogBatch, LogEvent
from hsup.model import DynoName
from hsup.output.formats import formatter
from hsup.output.logs import (
    LONGEST_LINE_BYTES,
    UNFINISHED_BYTES,
    UNREAD_BYTES,
    DynoOutput,
    LineFramer,
    LogRouter,
    StreamReader,
    Unfinished,
)
from hsup.output.printer import Printer
from hsup.terminal import WindowSize
from hsup.testing import MemorySink

PIECES = st.lists(st.one_of(st.binary(max_size=8), st.sampled_from([b"\n", b"\r\n", b"ab\ncd"])))
WEB = DynoName("web", 1)


@given(pieces=PIECES)
def test_any_pieces_of_any_bytes_come_out_as_they_went_in(pieces: list[bytes]) -> None:
    framer = LineFramer()
    batches = [framer.feed(piece) for piece in pieces]
    assert b"".join([*batches, framer.finish()]) == b"".join(pieces)


@given(pieces=PIECES)
def test_before_the_end_there_are_only_whole_lines(pieces: list[bytes]) -> None:
    framer = LineFramer()
    batches = [framer.feed(piece) for piece in pieces]
    assert all(batch.endswith(b"\n") for batch in batches if batch)
    assert b"\n" not in framer.finish()


@given(pieces=PIECES)
def test_a_line_is_passed_on_as_soon_as_it_is_whole(pieces: list[bytes]) -> None:
    framer = LineFramer()
    given_out, taken_in = b"", b""
    for piece in pieces:
        given_out += framer.feed(piece)
        taken_in += piece
        assert given_out == taken_in[: taken_in.rfind(b"\n") + 1]


def test_what_is_left_is_given_once() -> None:
    framer = LineFramer()
    framer.feed(b"no newline")
    assert framer.finish() == b"no newline"
    assert framer.finish() == b""


def test_a_line_of_a_megabyte_stays_whole() -> None:
    framer = LineFramer()
    piece = b"x" * (1 << 16)
    assert not any(framer.feed(piece) for _ in range(15))
    assert len(framer.feed(b"\n")) == 15 * len(piece) + 1


def test_a_longer_line_comes_in_pieces_the_last_of_which_has_something() -> None:
    framer = LineFramer()
    piece = b"x" * (1 << 16)
    batches = [framer.feed(piece) for _ in range(161)]
    given_out = [len(batch) for batch in batches if batch]
    assert given_out == [LONGEST_LINE_BYTES + len(piece) - 1, *9 * [LONGEST_LINE_BYTES]]
    assert framer.finish() == b"x"


@given(text=st.text(min_size=1, max_size=30), cut=st.integers(1, 6))
def test_a_long_line_is_cut_between_characters(text: str, cut: int) -> None:
    framer = LineFramer()
    data = b"x" * (LONGEST_LINE_BYTES - cut) + text.replace("\n", "").encode() * 7
    batches = [framer.feed(data[start : start + 65_535]) for start in range(0, len(data), 65_535)]
    whole = [*filter(None, batches), framer.finish()]
    assert b"".join(whole) == data
    assert "".join(piece.decode() for piece in whole) == data.decode()


def test_bytes_that_are_no_text_are_cut_somewhere() -> None:
    framer = LineFramer()
    data = b"\x80" * (LONGEST_LINE_BYTES + 1)
    assert framer.feed(data) + framer.finish() == data


def test_all_streams_together_keep_no_more_than_their_budget() -> None:
    kept = Unfinished()
    framers = [LineFramer(kept) for _ in range(100)]
    given_out = 0
    for _ in range(16):
        for framer in framers:
            given_out += len(framer.feed(b"x" * (1 << 16)))
            assert kept.kept_bytes <= UNFINISHED_BYTES + (1 << 16)
    rest = sum(len(framer.finish()) for framer in framers)
    assert given_out + rest == 100 << 20
    assert kept.kept_bytes == 0


def test_a_short_line_is_whole_whatever_others_keep() -> None:
    kept = Unfinished()
    hogs = [LineFramer(kept) for _ in range(10)]
    for hog in hogs:
        hog.feed(b"x" * LONGEST_LINE_BYTES)
    modest = LineFramer(kept)
    assert modest.feed(b"y" * 4000) == b""
    assert modest.feed(b"\n") == b"y" * 4000 + b"\n"


def test_what_is_written_two_bytes_at_a_time_costs_no_more_than_its_size() -> None:
    framer = LineFramer()
    tracemalloc.start()
    for _ in range(100_000):
        framer.feed(b"xx")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * 200_000


@pytest.fixture
def output(router: LogRouter) -> Callable[..., DynoOutput]:
    """Return a maker of outputs that are being read."""

    def make(name: DynoName = WEB) -> DynoOutput:
        output = DynoOutput(name, router)
        output.begin()
        return output

    return make


async def test_what_a_dyno_writes_arrives_by_stream(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    os.write(web.stdout, b"out\n")
    os.write(web.stderr, b"err\n")
    await sink.until(lambda one: len(one.batches) == 2)
    web.close_writing_ends()
    web.finish()
    assert sink.written(stream="stdout") == b"out\n"
    assert sink.written(stream="stderr") == b"err\n"
    assert {(one.source, one.dyno) for one in sink.batches} == {("app", "web.1")}


async def test_a_dyno_may_write_to_a_terminal_of_a_size(
    router: LogRouter, sink: MemorySink
) -> None:
    web = DynoOutput(WEB, router, WindowSize(rows=24, columns=58))
    for descriptor in (web.stdout, web.stderr):
        assert os.isatty(descriptor)
        assert os.get_terminal_size(descriptor) == (58, 24)
    os.write(web.stdout, b"out\n")
    os.write(web.stderr, b"a\tb\r\n\xff")
    web.close_writing_ends()
    web.finish()
    assert sink.written(stream="stdout") == b"out\na\tb\r\n\xff"
    assert sink.written(stream="stderr") == b""


async def test_a_terminal_that_the_dyno_has_closed_keeps_its_size(router: LogRouter) -> None:
    web = DynoOutput(WEB, router, WindowSize(rows=24, columns=58))
    web.resize(WindowSize(rows=30, columns=90))
    assert os.get_terminal_size(web.stdout) == (90, 30)
    web.close_writing_ends()
    await web.drain()
    web.resize(WindowSize(rows=24, columns=58))
    web.finish()


async def test_a_terminal_that_cannot_be_had_leaves_nothing_open(
    router: LogRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, "too many")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "dup", fail)
    with pytest.raises(OSError, match="too many"):
        DynoOutput(WEB, router, WindowSize(rows=24, columns=80))
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_sink_may_show_a_line_before_it_ends(
    sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[bytes] = []
    has_shown = asyncio.Event()

    def show(_: MemorySink, batch: LogBatch) -> None:
        shown.append(batch.lines)
        has_shown.set()

    monkeypatch.setattr(MemorySink, "show", show, raising=False)
    web = DynoOutput(WEB, LogRouter([sink]))
    web.begin()
    os.write(web.stdout, b"whole\nContinue? ")
    await has_shown.wait()
    assert shown == [b"Continue? "]
    assert sink.written() == b"whole\n"
    os.write(web.stdout, b"yes\n")
    await sink.until(lambda one: len(one.batches) == 2)
    await asyncio.sleep(0.15)
    web.close_writing_ends()
    web.finish()
    assert shown == [b"Continue? "]
    assert sink.written() == b"whole\nContinue? yes\n"


async def test_a_batch_has_the_time_when_it_was_read(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    before = time.time_ns()
    web = output()
    os.write(web.stdout, b"now\n")
    web.close_writing_ends()
    web.finish()
    assert before <= sink.batches[0].time <= time.time_ns()


async def test_a_half_line_waits_for_its_other_half(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    os.write(web.stdout, b"whole\nha")
    await sink.until(lambda one: one.batches)
    os.write(web.stdout, b"lf\n")
    await sink.until(lambda one: len(one.batches) == 2)
    web.close_writing_ends()
    web.finish()
    assert [one.lines for one in sink.batches] == [b"whole\n", b"half\n"]


async def test_the_last_words_of_a_dyno_are_passed_on_at_its_end(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    os.write(web.stdout, b"one\ntwo\nlast words")
    web.close_writing_ends()
    web.finish()
    assert sink.written() == b"one\ntwo\nlast words"


async def test_the_end_is_not_waited_for_where_somebody_still_holds_the_pipe(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    held = os.dup(web.stdout)
    os.write(web.stdout, b"mine\n")
    web.close_writing_ends()
    web.finish()
    assert sink.written() == b"mine\n"
    with pytest.raises(BrokenPipeError):
        os.write(held, b"too late\n")
    os.close(held)


async def test_a_dyno_that_closes_its_output_early_ends_all_the_same(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    os.write(web.stdout, b"bye")
    web.close_writing_ends()
    await sink.until(lambda one: one.written() == b"bye")
    web.finish()
    web.finish()
    assert sink.written() == b"bye"


async def test_nothing_stays_open_after_the_end(output: Callable[..., DynoOutput]) -> None:
    before = os.listdir("/proc/self/fd")
    web = output()
    web.close_writing_ends()
    web.finish()
    assert os.listdir("/proc/self/fd") == before


@contextmanager
def room_for_descriptors(number: int) -> Iterator[None]:
    """Let so many more be opened, and no more."""
    free = [os.open(os.devnull, os.O_RDONLY) for _ in range(number + 1)]
    for descriptor in free:
        os.close(descriptor)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 2, 3])
async def test_nothing_stays_open_where_only_one_pipe_can_be_had(
    output: Callable[..., DynoOutput], sink: MemorySink, room: int
) -> None:
    await asyncio.sleep(0)
    before = os.listdir("/proc/self/fd")
    with room_for_descriptors(room), pytest.raises(OSError, match="Too many open files"):
        output()
    assert os.listdir("/proc/self/fd") == before
    web = output()
    os.write(web.stdout, b"next time\n")
    web.close_writing_ends()
    web.finish()
    assert sink.written() == b"next time\n"


async def test_the_pipes_are_not_inherited(output: Callable[..., DynoOutput]) -> None:
    web = output()
    assert not os.get_inheritable(web.stdout)
    assert not os.get_inheritable(web.stderr)
    web.close_writing_ends()
    web.finish()


async def test_a_dyno_blocks_when_it_writes_and_hsup_does_not_when_it_reads(
    output: Callable[..., DynoOutput],
) -> None:
    web = output()
    assert os.get_blocking(web.stdout)
    web.close_writing_ends()
    web.finish()


async def test_a_pipe_that_a_dyno_fills_is_widened(
    pipe: tuple[int, int], router: LogRouter, sink: MemorySink
) -> None:
    reading_end, writing_end = pipe
    reader = StreamReader(os.dup(reading_end), "web.1", "stdout", router)
    os.write(writing_end, b"x" * 0xFFFF + b"\n")
    router.add(reader)
    await sink.until(lambda one: one.batches)
    assert fcntl.fcntl(reading_end, fcntl.F_GETPIPE_SZ) > 1 << 16
    reader.finish()


async def test_a_lot_of_output_arrives_complete_and_in_order(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    text = b"".join(b"%d\n" % number for number in range(200_000))

    def write() -> None:
        with os.fdopen(os.dup(web.stdout), "wb") as stream:
            stream.write(text)

    await asyncio.to_thread(write)
    web.close_writing_ends()
    web.finish()
    assert sink.written() == text


async def test_every_sink_gets_every_batch(sink: MemorySink) -> None:
    other = type(sink)()
    router = LogRouter([sink, other])
    router.say("web.1", "hello")
    await router.close()
    assert sink.batches == other.batches
    assert sink.said("web.1") == ["hello"]


async def test_what_hsup_says_is_one_line_of_text_whatever_it_tells_of(
    router: LogRouter, sink: MemorySink
) -> None:
    router.say("web.1", os.fsdecode(b"cannot run \xff\x1b[2J\nhsup[web.2]: up"))
    assert sink.said() == [r"cannot run \xff\x1b[2J\nhsup[web.2]: up"]


async def test_closing_the_router_closes_the_sinks_even_while_one_is_full(
    router: LogRouter, sink: MemorySink
) -> None:
    sink.room.clear()
    router.say("web.1", "hello")
    await router.close()
    assert sink.is_closed


@pytest.fixture
def printer(pipe: tuple[int, int]) -> Printer:
    return Printer(pipe[1], formatter("raw", coloured=False))


async def test_a_reader_that_is_stuck_is_given_up(
    pipe: tuple[int, int], printer: Printer, sink: MemorySink
) -> None:
    router = LogRouter([printer, sink])
    router.say("web.1", "x" * 100_000)
    await router.close(stuck_seconds=0.01)
    assert sink.is_closed
    assert len(os.read(pipe[0], 100_000)) == printer.taken_bytes < 100_000


async def test_a_slow_reader_that_takes_some_gets_everything(
    pipe: tuple[int, int], printer: Printer
) -> None:
    router = LogRouter([printer])
    router.say("web.1", "x" * 300_000)
    # Nothing of a 64 KiB pipe is taken before a page of it is read.
    closing = asyncio.create_task(router.close(stuck_seconds=5))
    found = 0
    while found < 300_001:
        found += len(await asyncio.to_thread(os.read, pipe[0], 1 << 14))
    await closing
    assert printer.taken_bytes == 300_001


async def test_closing_can_be_cancelled_and_drops_what_is_left(
    pipe: tuple[int, int], printer: Printer, sink: MemorySink
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    router = LogRouter([sink, printer])
    router.say("web.1", "x" * 100_000)
    closing = asyncio.create_task(router.close())
    await pass_turns()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert len(os.listdir("/proc/self/fd")) == before - 1
    os.set_blocking(pipe[0], False)
    assert len(os.read(pipe[0], 100_000)) == printer.taken_bytes


class NeverClosed:
    """Waits for somebody for ever when it is closed, and cannot tell how much was taken."""

    is_full = False

    def write(self, batch: LogBatch) -> None:
        pass

    async def drained(self) -> None:
        pass

    async def close(self) -> None:
        await asyncio.Event().wait()


class CannotClose(NeverClosed):
    """Fails when it is closed."""

    async def close(self) -> None:
        raise ValueError("no such host")


async def test_a_sink_that_cannot_tell_has_as_long(sink: MemorySink) -> None:
    await LogRouter([NeverClosed(), sink]).close(stuck_seconds=0.01)
    assert sink.is_closed


async def test_a_sink_that_fails_to_close_is_logged_and_the_others_are_closed(
    sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="hsup"):
        await LogRouter([CannotClose(), sink]).close()
    assert sink.is_closed
    (message,) = caplog.messages
    assert message.startswith("could not close ")


async def pass_turns(turns: int = 5) -> None:
    """Let the loop do all that it could do now."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_while_a_sink_is_full_the_dynos_have_to_wait(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    sink.room.clear()
    os.write(web.stdout, b"first\n")
    await sink.until(lambda one: one.batches)
    await pass_turns()
    os.write(web.stdout, b"second\n")
    await pass_turns()
    assert sink.written() == b"first\n"
    sink.room.set()
    await sink.until(lambda one: len(one.batches) == 2)
    assert sink.written() == b"first\nsecond\n"
    web.close_writing_ends()
    web.finish()


async def test_a_long_line_is_told_to_go_on(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    for _ in range(24):
        await asyncio.to_thread(os.write, web.stdout, b"x" * (1 << 16))
    os.write(web.stdout, b"\nend")
    web.close_writing_ends()
    web.finish()
    assert sink.written() == b"x" * (24 << 16) + b"\nend"
    assert [one.is_partial for one in sink.batches] == [True, False, False]


async def test_other_dynos_have_to_wait_in_the_same_turn(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    dynos = [output(DynoName("web", number)) for number in range(1, 11)]
    write = sink.write

    def write_and_be_full(batch: LogBatch) -> None:
        sink.room.clear()
        write(batch)

    sink.write = write_and_be_full
    for web in dynos:
        os.write(web.stdout, b"line\n")
    await sink.until(lambda one: one.batches)
    await pass_turns()
    assert sink.written() == b"line\n"
    sink.write = write
    sink.room.set()
    await sink.until(lambda one: len(one.batches) == 10)
    for web in dynos:
        web.close_writing_ends()
        web.finish()


async def test_what_is_in_the_pipe_is_drained_as_fast_as_it_is_taken(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    sink.room.clear()
    for _ in range(2):
        os.write(web.stdout, (b"x" * 30_719 + b"\n"))
    web.close_writing_ends()
    await sink.until(lambda one: one.batches)
    draining = asyncio.create_task(web.drain())
    await pass_turns()
    assert not draining.done()
    sink.room.set()
    await draining
    web.finish()
    assert len(sink.written()) == 2 * 30_720


async def test_every_line_tells_the_application_and_the_release(
    output: Callable[..., DynoOutput], router: LogRouter, sink: MemorySink
) -> None:
    router.say("supervisor", "Warning: nothing yet")
    router.runs("web.1", "shop", 3)
    web = output()
    router.runs("web.1", "shop", 4)
    os.write(web.stdout, b"old\n")
    web.close_writing_ends()
    web.finish()
    router.say("web.1", "new", LogEvent("starting"))
    router.forget("web.1")
    router.say("web.1", "gone")
    assert [(one.app, one.release, one.event) for one in sink.batches] == [
        (None, None, LogEvent("warning")),
        ("shop", 3, None),
        ("shop", 4, LogEvent("starting")),
        (None, None, LogEvent("notice")),
    ]


async def test_what_hsup_says_while_nobody_reads_is_bounded_and_counted(
    router: LogRouter, sink: MemorySink
) -> None:
    sink.room.clear()
    line = "x" * 1023
    for _ in range(2 * UNREAD_BYTES // 1024):
        router.say("web.1", line)
    assert router.is_full
    kept = len(sink.batches)
    assert UNREAD_BYTES // 1024 <= kept <= UNREAD_BYTES // 1024 + 2
    sink.room.set()
    await router.room()
    left_out = 2 * UNREAD_BYTES // 1024 - kept
    assert sink.said("supervisor") == [
        f"Dropped {left_out} of hsup's own lines because nobody read the output"
    ]
    router.say("web.1", "read again")
    assert sink.said("web.1")[-1] == "read again"


async def test_a_dyno_that_starts_while_a_sink_is_full_is_read_later(
    output: Callable[..., DynoOutput], router: LogRouter, sink: MemorySink
) -> None:
    sink.room.clear()
    router.say("web.1", "full now")
    await pass_turns()
    late = output(DynoName("late", 1))
    os.write(late.stdout, b"waited\n")
    await pass_turns()
    assert sink.written() == b""
    sink.room.set()
    await sink.until(lambda one: one.written() == b"waited\n")
    late.close_writing_ends()
    late.finish()


async def test_a_dyno_that_ends_while_a_sink_is_full_loses_nothing(
    output: Callable[..., DynoOutput], router: LogRouter, sink: MemorySink
) -> None:
    web = output()
    sink.room.clear()
    router.say("web.1", "full now")
    await pass_turns()
    os.write(web.stdout, b"last words")
    web.close_writing_ends()
    web.finish()
    assert sink.written() == b"last words"
    sink.room.set()
    await pass_turns()


def has_batches(count: int, sink: MemorySink) -> bool:
    return len(sink.batches) == count


async def test_a_sink_may_get_full_again_and_again(
    output: Callable[..., DynoOutput], sink: MemorySink
) -> None:
    web = output()
    for number in range(5):
        sink.room.clear()
        os.write(web.stdout, b"%d\n" % number)
        await sink.until(partial(has_batches, number + 1))
        await pass_turns()
        sink.room.set()
        await pass_turns()
    assert sink.written() == b"0\n1\n2\n3\n4\n"
    web.close_writing_ends()
    web.finish()


class OneAtATime(MemorySink):
    """Is full after each batch, until a test gives it room."""

    def write(self, batch: LogBatch) -> None:
        super().write(batch)
        self.room.clear()


async def test_of_many_dynos_that_wait_the_one_that_has_waited_longest_is_read_first() -> None:
    sink = OneAtATime()
    router = LogRouter([sink])
    outputs = [DynoOutput(DynoName("web", number), router) for number in range(1, 11)]
    for one in outputs:
        one.begin()
    for count in range(1, 31):
        for one in outputs:  # each writes on and on
            os.write(one.stdout, b"x\n")
        await sink.until(partial(has_batches, count))
        sink.room.set()
    counts = Counter(batch.dyno for batch in sink.batches)
    assert set(counts.values()) == {3}
    for one in outputs:
        one.close_writing_ends()
        one.finish()
