from __future__ import annotations

import asyncio
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogBatch
from hsup.output.backlog import Backlog
from hsup.output.history import History
from hsup.testing import make_batch


def remembered(most_lines: int, *batches: LogBatch) -> History:
    backlog = Backlog()
    history = History(backlog, most_lines)
    for batch in batches:
        backlog.append(batch)
    return history


def text(batches: object) -> bytes:
    assert isinstance(batches, list)
    return b"".join(batch.lines for batch in batches)


@given(
    texts=st.lists(st.sampled_from([b"a\n", b"b\nc\n", b"d", b"\n\n"]), max_size=20),
    count=st.integers(0, 30),
)
def test_the_last_lines_are_the_last(texts: list[bytes], count: int) -> None:
    history = remembered(1500, *map(make_batch, texts))
    # A line without newline is one that ends there.
    lines = [line for one in texts for line in one.removesuffix(b"\n").split(b"\n")]
    got = history.last(count)
    found = [line for one in got for line in one.lines.removesuffix(b"\n").split(b"\n")]
    assert found == lines[max(len(lines) - count, 0) :]


def test_lines_of_a_dyno_a_type_and_a_source_are_found() -> None:
    history = remembered(
        1500,
        make_batch(b"1\n", dyno="web.1"),
        make_batch(b"2\n", dyno="web.2", source="heroku"),
        make_batch(b"3\n", dyno="worker.1"),
        make_batch(b"4\n", dyno="web.1"),
    )
    assert text(history.last(9, dyno="web.1")) == b"1\n4\n"
    assert text(history.last(9, dyno="web")) == b"1\n2\n4\n"
    assert text(history.last(1, dyno="web")) == b"4\n"
    assert text(history.last(9, source="heroku")) == b"2\n"
    assert text(history.last(9, dyno="web", source="app")) == b"1\n4\n"
    assert text(history.last(9, dyno="nobody")) == b""


def test_memory_is_bounded_and_the_last_lines_stay() -> None:
    backlog = Backlog()
    history = History(backlog, 1500)
    block = b"".join(b"%099d\n" % number for number in range(600))
    tracemalloc.start()
    try:
        for _ in range(500):
            backlog.append(make_batch(bytes(bytearray(block))))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 4 << 20
    assert text(history.last(1500)) == (block * 3)[-150_000:]


def test_very_long_lines_are_forgotten_by_their_size() -> None:
    backlog = Backlog()
    history = History(backlog, 1500)
    for number in range(100):
        backlog.append(make_batch(b"%d" % (number % 10) + b"x" * (1 << 20) + b"\n"))
    last = history.last(1500)
    assert 10 <= len(last) <= 20
    assert last[-1].lines.startswith(b"9")


def test_not_more_is_shown_than_is_remembered() -> None:
    history = remembered(2, *(make_batch(b"%d\n" % number) for number in range(9)))
    assert text(history.last(1500)) == b"7\n8\n"


async def test_a_follower_gets_what_was_and_what_comes_without_a_gap() -> None:
    backlog = Backlog()
    history = History(backlog, 1500)
    backlog.append(make_batch(b"1\n"))
    backlog.append(make_batch(b"2\n", dyno="worker.1"))
    following = history.follow(10, dyno="web")
    backlog.append(make_batch(b"3\n", dyno="worker.1"))
    backlog.append(make_batch(b"4\n"))
    assert (await anext(following)).lines == b"1\n"
    assert (await anext(following)).lines == b"4\n"
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    backlog.append(make_batch(b"5\n"))
    assert (await waiting).lines == b"5\n"
    await following.aclose()


async def test_a_slow_follower_is_told_what_it_has_lost_and_costs_no_one_else() -> None:
    backlog = Backlog()
    history = History(backlog, 1500)
    slow, quick = history.follow(), history.follow()
    count = 0
    for number in range(30_000):
        backlog.append(make_batch(b"%099d\n" % number, time=1_000_000_000))
        if number % 1000 == 999:
            while count <= number:
                count += (await anext(quick)).lines.count(b"\n")
    told = await anext(slow)
    assert told.lines.startswith(b"Error L11 (Tail buffer overflow) -> This tail session dropped ")
    assert told.lines.endswith(b" messages since 1970-01-01T00:00:01+00:00\n")
    dropped = int(told.lines.split()[10])
    rest = 0
    while dropped + rest < 30_000:
        rest += (await anext(slow)).lines.count(b"\n")
    assert dropped + rest == 30_000
    await slow.aclose()
    await quick.aclose()
