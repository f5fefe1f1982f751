from __future__ import annotations

import asyncio
import logging
import os
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.api import SUPERVISOR, LogBatch
from hsup.output.formats import formatter
from hsup.output.printer import ErrorPrinter, Printer, RawPrinter, ScreenPrinter, UnmixedLines
from hsup.output.screen import ScreenFormatter
from hsup.testing import make_batch, make_release


@pytest.fixture
def other_pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def test_both_streams_are_printed_on_one_in_their_order(pipe: tuple[int, int]) -> None:
    printer = Printer(pipe[1], formatter("plain", coloured=False))
    printer.write(make_batch(b"a\n"))
    printer.write(make_batch(b"b\n", stream="stderr"))
    printer.write(make_batch(b"c\n", source="hsup"))
    await printer.close()
    assert os.read(pipe[0], 100) == b"web.1 | a\nweb.1 | b\nweb.1 * c\n"


async def test_raw_prints_each_stream_on_the_same_one_and_hsup_on_the_second(
    pipe: tuple[int, int], other_pipe: tuple[int, int]
) -> None:
    printer = RawPrinter(pipe[1], other_pipe[1])
    printer.write(make_batch(b"\xffout"))
    printer.write(make_batch(b"err\n", stream="stderr"))
    printer.write(make_batch(b"up\n", source="hsup"))
    await printer.close()
    assert os.read(pipe[0], 100) == b"\xffout"
    assert os.read(other_pipe[0], 100) == (
        b"err\n1970-01-01T00:00:00.000000+00:00 hsup[web.1]: up\n"
    )


async def test_raw_keeps_lines_whole_and_in_order_where_both_streams_are_one_slow_file(
    pipe: tuple[int, int],
) -> None:
    errors = os.dup(pipe[1])
    printer = RawPrinter(pipe[1], errors)
    wanted = []
    for number in range(200):
        lines = (b"%d" % number) * 1000 + b"\n"
        printer.write(make_batch(lines, stream="stderr" if number % 2 else "stdout"))
        printer.write(make_batch(b"up\n", source="hsup"))
        wanted += [lines, b"1970-01-01T00:00:00.000000+00:00 hsup[web.1]: up\n"]
    closing = asyncio.create_task(printer.close())
    found = b""
    while len(found) < len(b"".join(wanted)):
        found += await asyncio.to_thread(os.read, pipe[0], 1 << 16)
    await closing
    os.close(errors)
    assert found == b"".join(wanted)


@pytest.mark.parametrize(
    "following",
    [
        make_batch(b"next\n", dyno="web.2"),
        make_batch(b"next\n", stream="stderr"),
        make_batch(b"next\n", source="hsup"),
    ],
)
async def test_raw_gives_what_follows_a_half_line_of_another_a_line_of_its_own(
    pipe: tuple[int, int], following: LogBatch
) -> None:
    printer = RawPrinter(pipe[1], pipe[1])
    printer.write(make_batch(b"whole\nhalf"))
    printer.write(following)
    printer.write(make_batch(b"end\n"))
    await printer.close()
    first, second, third, fourth = os.read(pipe[0], 200).splitlines(keepends=True)
    assert (first, second, fourth) == (b"whole\n", b"half\n", b"end\n")
    assert third.endswith(b"next\n")


async def test_raw_joins_the_pieces_of_a_long_line(
    pipe: tuple[int, int], other_pipe: tuple[int, int]
) -> None:
    printer = RawPrinter(pipe[1], other_pipe[1])
    printer.write(make_batch(b"one ", is_partial=True))
    printer.write(make_batch(b"elsewhere\n", stream="stderr"))
    printer.write(make_batch(b"line\n"))
    await printer.close()
    assert os.read(pipe[0], 100) == b"one line\n"
    assert os.read(other_pipe[0], 100) == b"elsewhere\n"


@pytest.mark.parametrize("following", [b"end\n", b"end", b"", b"\n", b"end\nnext\n"])
def test_the_pieces_of_a_line_have_one_prefix(following: bytes) -> None:
    lines = UnmixedLines(formatter("plain", coloured=False))
    printed = lines(make_batch(b"first\none ", is_partial=True))
    printed += lines(make_batch(b"line ", is_partial=True))
    printed += lines(make_batch(following))
    whole = b"first\none line " + following
    assert printed == formatter("plain", coloured=False)(make_batch(whole))
    assert lines(make_batch(b"more\n")) == b"web.1 | more\n"


def test_another_dyno_between_the_pieces_of_a_line_has_a_line_of_its_own() -> None:
    lines = UnmixedLines(formatter("plain", coloured=False))
    printed = lines(make_batch(b"one ", is_partial=True))
    printed += lines(make_batch(b"hello\n", dyno="web.2"))
    printed += lines(make_batch(b"line\n"))
    assert printed == b"web.1 | one \nweb.2 | hello\nweb.1 | line\n"


ORIGINS = st.tuples(st.sampled_from(["web.1", "web.2"]), st.sampled_from(["stdout", "stderr"]))


@given(
    batches=st.lists(st.tuples(ORIGINS, st.binary(min_size=1, max_size=9), st.booleans())),
    name=st.sampled_from(["heroku", "plain"]),
)
def test_whatever_comes_in_whatever_pieces_no_line_has_two_dynos_and_no_byte_is_lost(
    batches: list[tuple[tuple[str, str], bytes, bool]], name: str
) -> None:
    lines = UnmixedLines(formatter(name, coloured=False))
    printed, wanted = b"", {"web.1": b"", "web.2": b""}
    for (dyno, stream), content, ends_late in batches:
        is_partial = ends_late and not content.endswith(b"\n")
        printed += lines(make_batch(content, dyno=dyno, stream=stream, is_partial=is_partial))
        wanted[dyno] += content
    found = {"web.1": b"", "web.2": b""}
    for line in printed.split(b"\n"):
        if line:
            prefix, _, rest = line.partition(b" | " if name == "plain" else b"]: ")
            found[prefix[-5:].decode()] += rest
    assert found == {dyno: text.replace(b"\n", b"") for dyno, text in wanted.items()}


async def test_raw_does_not_go_on_with_the_last_words_of_a_dyno(
    pipe: tuple[int, int], other_pipe: tuple[int, int]
) -> None:
    printer = RawPrinter(pipe[1], other_pipe[1])
    printer.write(make_batch(b"last words"))
    printer.write(make_batch(b"started again\n"))
    await printer.close()
    assert os.read(pipe[0], 100) == b"last words\nstarted again\n"


async def test_raw_tells_how_much_both_readers_have_taken(
    pipe: tuple[int, int], other_pipe: tuple[int, int]
) -> None:
    printer = RawPrinter(pipe[1], other_pipe[1])
    printer.write(make_batch(b"12\n"))
    printer.write(make_batch(b"1234\n", stream="stderr"))
    assert printer.taken_bytes == 8
    await printer.close()


async def test_a_printer_is_full_until_its_reader_has_caught_up(pipe: tuple[int, int]) -> None:
    printer = Printer(pipe[1], formatter("raw", coloured=False))
    printer.write(make_batch(b"x" * (3 << 20)))
    assert printer.is_full
    drained = asyncio.create_task(printer.drained())
    while not drained.done():
        await asyncio.to_thread(os.read, pipe[0], 1 << 16)
    assert not printer.is_full
    os.close(pipe[0])
    await printer.close()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_raw_is_full_when_either_reader_has_fallen_behind(
    pipe: tuple[int, int], other_pipe: tuple[int, int], stream: str
) -> None:
    printer = RawPrinter(pipe[1], other_pipe[1])
    assert not printer.is_full
    left = 3 << 20
    printer.write(make_batch(b"x" * left, stream=stream))
    assert printer.is_full
    slow = pipe[0] if stream == "stdout" else other_pipe[0]
    drained = asyncio.create_task(printer.drained())
    while not drained.done():
        left -= len(await asyncio.to_thread(os.read, slow, 1 << 16))
    assert not printer.is_full
    closing = asyncio.create_task(printer.close())
    while left:
        left -= len(await asyncio.to_thread(os.read, slow, 1 << 16))
    await closing


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file have more bytes; Python ignores SIGXFSZ."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
async def test_a_file_that_had_no_room_has_all_that_comes_later_and_how_much_was_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, flags: int
) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | flags)
    printer = Printer(descriptor, formatter("plain", coloured=False))
    with room_for(30), caplog.at_level(logging.WARNING, logger="hsup"):
        printer.write(make_batch(b"a line that fits\n"))
        printer.write(make_batch(b"one that is torn\n"))
        printer.write(make_batch(b"one that is lost\n"))
    printer.write(make_batch(b"there is room\n"))
    await printer.close()
    lost = len("web.1 | one that is torn\n" * 2) - (30 - len("web.1 | a line that fits\n"))
    told = f"lost {lost} bytes of output while its file had no room; printing again"
    assert path.read_text() == (
        f"web.1 | a line that fits\nweb.1\nweb.1 | there is room\nsupervisor * Warning: {told}\n"
    )
    assert caplog.messages == [
        "cannot print the output of the dynos, which keep running: File too large",
        told,
    ]
    os.close(descriptor)


async def test_a_file_that_was_made_shorter_is_written_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    printer = Printer(descriptor, formatter("raw", coloured=False))
    with room_for(30):
        printer.write(make_batch(b"x" * 29 + b"\n"))
        os.truncate(path, 0)
        printer.write(make_batch(b"there is room\n"))
    await printer.close()
    assert path.read_bytes() == b"there is room\n"
    os.close(descriptor)


async def test_raw_has_no_line_of_hsups_own_where_some_is_lost(
    tmp_path: Path, pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    printer = RawPrinter(descriptor, pipe[1])
    with room_for(4), caplog.at_level(logging.WARNING, logger="hsup"):
        printer.write(make_batch(b"123\n"))
        printer.write(make_batch(b"lost\n"))
    with caplog.at_level(logging.WARNING, logger="hsup"):
        printer.write(make_batch(b"room\n"))
    await printer.close()
    assert path.read_bytes() == b"123\nroom\n"
    assert caplog.messages[-1] == (
        "lost 5 bytes of output while its file had no room; printing again"
    )
    os.close(descriptor)


async def test_a_reader_that_is_gone_is_told_once_and_printing_goes_on(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    printer = Printer(pipe[1], formatter("raw", coloured=False))
    os.close(pipe[0])
    with caplog.at_level(logging.WARNING, logger="hsup"):
        printer.write(make_batch(b"a\n"))
        printer.write(make_batch(b"b\n"))
    await printer.close()
    assert caplog.messages == [
        "cannot print the output of the dynos, which keep running: Broken pipe"
    ]


async def test_what_hsup_logs_has_lines_of_its_own_beside_the_dynos(pipe: tuple[int, int]) -> None:
    printer = Printer(pipe[1], formatter("plain", coloured=False))
    errors = ErrorPrinter(printer)
    printer.write(make_batch(b"half of", is_partial=True))
    errors.print("hsup: warned\n")
    printer.write(make_batch(b" a line\n"))
    await asyncio.to_thread(errors.print, "hsup: from a thread\n")
    await asyncio.sleep(0)
    await printer.close()
    assert os.read(pipe[0], 200) == (
        b"web.1 | half of\nhsup: warned\nweb.1 |  a line\nhsup: from a thread\n"
    )


async def test_what_hsup_logs_waits_for_no_reader_and_is_bounded(pipe: tuple[int, int]) -> None:
    errors = ErrorPrinter(Printer(pipe[1], formatter("raw", coloured=False)))
    tracemalloc.start()
    for _ in range(30):
        errors.print("x" * (1 << 20))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20
    await errors.close(stuck_seconds=0.01)


async def test_what_is_logged_at_the_very_end_is_printed_all_the_same(
    pipe: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    errors = ErrorPrinter(Printer(pipe[1], formatter("raw", coloured=False)))
    await errors.close(stuck_seconds=1)
    errors.print("hsup: too late\n")
    assert capfd.readouterr().err == "hsup: too late\n"


@pytest.fixture
def screen(pipe: tuple[int, int]) -> ScreenPrinter:
    return ScreenPrinter(pipe[1], ScreenFormatter(coloured=False, has_times=False))


def announce(screen: ScreenPrinter) -> None:
    release, ports = make_release(worker=1), {"worker.12": 5000}
    screen.announce("procfile", "simple", release, ports, lambda _: True)


WARNING = make_batch(b"Warning: x\n", dyno=SUPERVISOR, source="hsup")


async def test_what_is_said_before_the_dynos_are_announced_has_as_wide_a_column(
    pipe: tuple[int, int], screen: ScreenPrinter
) -> None:
    screen.write(WARNING)
    announce(screen)
    screen.write(WARNING)
    await screen.close()
    lines = os.read(pipe[0], 1000).splitlines()
    assert lines[0] == b"hsup      | shop, release v1: worker.12"
    assert lines[3:] == [b"hsup      | Warning: x"] * 2


async def test_what_is_said_does_not_wait_long_for_the_dynos(
    pipe: tuple[int, int], screen: ScreenPrinter
) -> None:
    for _ in range(2):
        screen.write(WARNING)
        assert await asyncio.to_thread(os.read, pipe[0], 1000) == b"hsup | Warning: x\n"
    await screen.close()


async def test_what_is_announced_has_the_time_of_what_was_said_before(
    pipe: tuple[int, int],
) -> None:
    screen = ScreenPrinter(pipe[1], ScreenFormatter(coloured=False))
    said = WARNING._replace(time=WARNING.time + 3600 * 10**9)
    screen.write(said)
    announce(screen)
    await screen.close()
    times = {line.partition(b" ")[0] for line in os.read(pipe[0], 1000).splitlines()}
    assert times == {time.strftime("%H:%M:%S", time.localtime(said.time // 10**9)).encode()}


@pytest.mark.parametrize(
    "follow",
    [
        lambda screen: screen.write(make_batch(b"a\n")),
        lambda screen: screen.show(make_batch(b"a", is_partial=True)),
        lambda screen: screen.write_own(b"a\n"),
        lambda _: None,
    ],
    ids=["output", "half a line", "lines without a batch", "end"],
)
async def test_what_is_said_comes_before_what_follows(
    pipe: tuple[int, int], screen: ScreenPrinter, follow: Callable[[ScreenPrinter], object]
) -> None:
    screen.write(WARNING)
    follow(screen)
    await screen.close()
    assert os.read(pipe[0], 1000).startswith(b"hsup | Warning: x\n")


async def test_on_a_screen_the_log_of_hsup_is_like_its_other_lines(
    pipe: tuple[int, int], screen: ScreenPrinter
) -> None:
    announce(screen)
    os.read(pipe[0], 1000)
    errors = ErrorPrinter(screen)
    screen.show(make_batch(b"half", is_partial=True))
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        errors.log("told", level)
    errors.log("Docker Engine is gone", logging.INFO)
    await errors.close(stuck_seconds=60.0)
    assert os.read(pipe[0], 1000).splitlines() == [
        b"web.1     | half",
        b"hsup      | told",
        b"hsup      | Warning: told",
        b"hsup      | Error: told",
        b"hsup      | Docker Engine is gone",
    ]
