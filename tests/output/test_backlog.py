from __future__ import annotations

import asyncio
import sys
import tracemalloc
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogBatch, LogEvent
from hsup.output.backlog import Backlog, BacklogReader, Dropped, line_count
from hsup.testing import make_batch

MANY = 1 << 20


def read(reader: BacklogReader, most_bytes: int = MANY) -> list[LogBatch]:
    return list(iter(lambda: reader.next(most_bytes), None))


def text(reader: BacklogReader, most_bytes: int = MANY) -> bytes:
    return b"".join(batch.lines for batch in read(reader, most_bytes))


@given(lines=st.binary(max_size=60))
def test_a_last_line_without_newline_counts(lines: bytes) -> None:
    expected = lines.count(b"\n") + (not lines.endswith(b"\n"))
    assert line_count(lines) == expected


def test_batches_come_out_as_they_went_in() -> None:
    backlog = Backlog()
    reader = backlog.reader(MANY)
    event = LogEvent("exited", status=3, facts={"un": {"hash": "able"}})
    batches = [
        make_batch(b"one\ntwo\n"),
        make_batch(b"half", time=5, dyno="web.2", is_partial=True),
        make_batch(b"Process exited\n", source="heroku", event=event),
        make_batch(b"one\ntwo\n"),
    ]
    for batch in batches:
        backlog.append(batch)
    assert read(reader) == batches


@given(
    texts=st.lists(st.binary(min_size=1, max_size=400), max_size=30),
    most_bytes=st.integers(1, 300),
)
def test_in_parts_every_byte_comes_once_and_lines_stay_whole(
    texts: list[bytes], most_bytes: int
) -> None:
    backlog = Backlog()
    reader = backlog.reader(MANY)
    for one in texts:
        backlog.append(make_batch(one))
    parts = read(reader, most_bytes)
    assert b"".join(part.lines for part in parts) == b"".join(texts)
    assert all(
        part.lines.endswith(b"\n") or any(one.endswith(part.lines) for one in texts)
        for part in parts
    )
    assert all(len(part.lines) <= most_bytes or b"\n" not in part.lines[:-1] for part in parts)


def test_each_reader_has_its_own_pace_and_reads_what_came_since() -> None:
    backlog = Backlog()
    backlog.append(make_batch(b"before\n"))
    first, second = backlog.reader(MANY), backlog.reader(MANY)
    backlog.append(make_batch(b"one\n"))
    assert text(first) == b"one\n"
    backlog.append(make_batch(b"two\n"))
    assert text(first) == b"two\n"
    assert text(second) == b"one\ntwo\n"


def test_a_slow_reader_loses_the_oldest_lines_and_knows_how_many() -> None:
    backlog = Backlog()
    slow, quick = backlog.reader(1 << 20), backlog.reader(8 << 20)
    for number in range(30_000):
        backlog.append(make_batch(b"%099d\n" % number, time=1000 + number))
    dropped = slow.dropped()
    assert dropped is not None
    rest = text(slow)
    assert len(rest) <= 1 << 20
    assert len(rest) >= (1 << 20) // 2  # each batch counts for some 80 bytes more
    assert dropped == Dropped(30_000 - len(rest) // 100, since=1000)
    assert rest.endswith(b"%099d\n" % 29_999)
    assert slow.dropped() is None
    assert line_count(text(quick)) == 30_000


@given(
    sizes=st.lists(st.integers(1, 5000), max_size=200),
    most_bytes=st.integers(1, 20_000),
    takes=st.lists(st.tuples(st.integers(0, 199), st.integers(1, 6000)), max_size=20),
)
def test_what_was_read_dropped_and_is_left_is_what_was_added(
    sizes: list[int], most_bytes: int, takes: list[tuple[int, int]]
) -> None:
    backlog = Backlog()
    reader = backlog.reader(most_bytes)
    read_lines = dropped_lines = 0
    for index, size in enumerate(sizes):
        backlog.append(make_batch(b"\n" * size))
        assert reader.pending_bytes <= most_bytes
        for moment, most in takes:
            if moment == index and (batch := reader.next(most)):
                read_lines += line_count(batch.lines)
        if dropped := reader.dropped():
            dropped_lines += dropped.line_count
    assert read_lines + dropped_lines + reader.line_count() == sum(sizes)


def own(lines: bytes) -> LogBatch:
    return make_batch(lines, source="hsup", dyno="supervisor", event=LogEvent("notice"))


@given(
    texts=st.lists(st.sampled_from([b"a\n", b"b\nc", b"d" * 2000 + b"\ne\n"]), max_size=300),
    most_bytes=st.sampled_from([1, 4000, MANY]),
    seed=st.randoms(use_true_random=False),
)
def test_a_reader_of_dynos_lines_neither_reads_nor_counts_others(
    texts: list[bytes], most_bytes: int, seed: Random
) -> None:
    backlog = Backlog()
    reader = backlog.reader(100_000, only_dynos=True)
    dropped = was_read = added = 0
    for one in texts:
        is_own = seed.random() < 0.5
        backlog.append(own(one) if is_own else make_batch(one))
        added += 0 if is_own else line_count(one)
        if seed.random() < 0.1 and (batch := reader.next(most_bytes)) is not None:
            assert batch.event is None
            was_read += line_count(batch.lines)
        if (lost := reader.dropped()) is not None:
            assert lost.line_count > 0
            dropped += lost.line_count
    assert was_read + dropped + reader.line_count() == added
    rest = read(reader, most_bytes)
    assert all(batch.event is None for batch in rest)
    assert was_read + dropped + sum(line_count(batch.lines) for batch in rest) == added
    assert (reader.pending_bytes, reader.line_count()) == (0, 0)


def test_a_reader_of_dynos_lines_that_lost_only_others_has_lost_nothing() -> None:
    backlog = Backlog()
    reader = backlog.reader(MANY, only_dynos=True)
    for _ in range(3 * 1024):
        backlog.append(own(b"x" * 1023 + b"\n"))
    assert reader.dropped() is None
    backlog.append(make_batch(b"one\n", time=7))
    for _ in range(3 * 1024):
        backlog.append(own(b"x" * 1023 + b"\n"))
    assert reader.dropped() == Dropped(1, 7)


async def test_dynos_do_not_wait_for_lines_that_a_reader_leaves_out() -> None:
    backlog = Backlog()
    reader = backlog.reader(MANY, Patient(), only_dynos=True)
    while not backlog.is_full:
        backlog.append(own(b"x" * 1000 + b"\n"))
    assert reader.next(MANY) is None
    assert not backlog.is_full


async def test_waiting_for_lines_ends_with_the_first() -> None:
    backlog = Backlog()
    reader = backlog.reader(MANY)
    waiting = asyncio.create_task(reader.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    backlog.append(make_batch(b"one\n"))
    await waiting
    assert text(reader) == b"one\n"


async def test_a_reader_that_waited_still_drops_what_is_too_much() -> None:
    backlog = Backlog()
    reader = backlog.reader(1000)
    waiting = asyncio.create_task(reader.ready())
    await asyncio.sleep(0)
    for _ in range(100):
        backlog.append(make_batch(b"x" * 99 + b"\n"))
    await waiting
    assert reader.pending_bytes <= 1000
    assert reader.dropped() is not None


def test_what_nobody_reads_any_more_is_freed() -> None:
    backlog = Backlog()
    reader = backlog.reader(64 << 20)
    tracemalloc.start()
    try:
        for _ in range(100):
            backlog.append(make_batch(b"x" * (1 << 16)))
        kept, _ = tracemalloc.get_traced_memory()
        reader.close()
        del reader
        for _ in range(10):
            backlog.append(make_batch(b"x" * (1 << 16)))
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept > 100 << 16
    assert left < 2 << 20


def test_a_line_of_100_bytes_takes_less_than_200_whoever_waits_for_it() -> None:
    backlog = Backlog()
    readers = [backlog.reader(64 << 20) for _ in range(20)]
    tracemalloc.start()
    try:
        for number in range(50_000):
            backlog.append(make_batch(b"%099d\n" % number, time=1_700_000_000_000_000_000 + number))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / 50_000 < 200
    assert readers[0].pending_bytes > 50_000 * 100
    assert sys.getrefcount(backlog) > len(readers)


class Patient:
    """Lets dynos wait, and notes when they do."""

    def __init__(self) -> None:
        self.waits = False

    def may_wait(self) -> bool:
        return True

    def begin(self, reader: BacklogReader) -> None:
        assert reader.pending_bytes
        self.waits = True

    def end(self) -> None:
        self.waits = False


async def test_dynos_wait_for_a_reader_until_it_has_caught_up() -> None:
    backlog = Backlog()
    reader = backlog.reader(1800, Patient())
    for _ in range(6):
        assert not backlog.is_full
        backlog.append(make_batch(b"x" * 99 + b"\n"))
    assert backlog.is_full
    waiting = asyncio.create_task(backlog.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    while backlog.is_full:
        assert reader.next(100) is not None
    await waiting
    assert 0 < reader.pending_bytes < 900
    assert reader.dropped() is None


async def test_nobody_waits_for_a_reader_that_has_become_slow_or_is_gone() -> None:
    backlog = Backlog()
    slow, gone = backlog.reader(1000, Patient()), backlog.reader(1000, Patient())
    for _ in range(6):
        backlog.append(make_batch(b"x" * 99 + b"\n"))
    slow.release()
    assert backlog.is_full
    gone.close()
    assert not backlog.is_full


def test_nobody_waits_for_a_reader_for_which_nobody_may() -> None:
    backlog = Backlog()
    reader = backlog.reader(1000)
    for _ in range(20):
        backlog.append(make_batch(b"x" * 99 + b"\n"))
        assert not backlog.is_full
    assert reader.dropped() is not None
