from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import pty
import socket
import termios
import tracemalloc
import tty
from contextlib import suppress
from pathlib import Path

import pytest

from hsup.output.descriptor import FULL_BYTES, DescriptorWriter

TEXT = b"".join(b"%07d\n" % number for number in range(400_000))  # three times what may wait


class Broken:
    """Keeps the errors that a writer reports."""

    def __init__(self) -> None:
        self.errors: list[int | None] = []

    def __call__(self, error: OSError) -> None:
        self.errors.append(error.errno)


@pytest.fixture
def broken() -> Broken:
    return Broken()


@pytest.fixture
def of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be opened anew, as where the pipe or terminal is another user's."""

    def refuse(path: str, *_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "open", refuse)


async def cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def read_all(descriptor: int, size: int) -> bytes:
    """Read so many bytes, in small pieces: the slow reader."""
    found = bytearray()
    while len(found) < size and (piece := os.read(descriptor, 4096)):
        found += piece
    return bytes(found)


def pieces(text: bytes, size: int = 10_000) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


async def test_a_slow_reader_of_a_pipe_gets_everything_in_order(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    for piece in pieces(TEXT):
        writer.write(piece)
    reader = asyncio.create_task(asyncio.to_thread(read_all, reading_end, len(TEXT)))
    await writer.close()
    assert await reader == TEXT
    assert broken.errors == []


async def test_writing_never_waits_for_the_reader(pipe: tuple[int, int], broken: Broken) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(TEXT)  # would block for ever
    os.close(reading_end)
    await writer.close()


async def test_it_is_full_when_more_waits_than_should_and_drained_at_half(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    assert not writer.is_full
    await writer.drained()
    writer.write(TEXT)
    assert writer.is_full
    drained = asyncio.create_task(writer.drained())
    await asyncio.sleep(0)
    assert not drained.done()
    left = len(TEXT)
    while not drained.done():
        left -= len(await asyncio.to_thread(os.read, reading_end, 4096))
    assert not writer.is_full
    assert FULL_BYTES // 4 < left < FULL_BYTES
    reader = asyncio.create_task(asyncio.to_thread(read_all, reading_end, left))
    await writer.close()
    assert len(await reader) == left


async def test_what_fits_is_written_at_once(pipe: tuple[int, int], broken: Broken) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(b"now\n")
    assert os.read(reading_end, 100) == b"now\n"
    await writer.close()


async def test_writing_nothing_does_nothing(pipe: tuple[int, int], broken: Broken) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(b"")
    writer.write(b"x")
    assert os.read(reading_end, 100) == b"x"
    await writer.close()


async def test_what_is_written_while_some_waits_comes_after_it(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(b"a" * 100_000)
    assert read_all(reading_end, 1 << 15) == b"a" * (1 << 15)  # there is room again
    writer.write(b"b")
    left = 100_000 - (1 << 15)
    reader = asyncio.create_task(asyncio.to_thread(read_all, reading_end, left + 1))
    await writer.close()
    assert await reader == b"a" * left + b"b"


async def test_what_waits_in_tiny_pieces_costs_no_more_than_its_size(
    pipe: tuple[int, int], broken: Broken
) -> None:
    writer = DescriptorWriter(pipe[1], broken)
    writer.write(b"x" * 200_000)
    tracemalloc.start()
    for _ in range(100_000):
        writer.write(b"yy")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * 200_000
    reader = asyncio.create_task(asyncio.to_thread(read_all, pipe[0], 400_000))
    await writer.close()
    assert await reader == b"x" * 200_000 + b"y" * 200_000


async def test_the_flags_of_the_given_description_are_not_touched(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    flags = fcntl.fcntl(writing_end, fcntl.F_GETFL)
    writer = DescriptorWriter(writing_end, broken)
    writer.write(TEXT)
    assert fcntl.fcntl(writing_end, fcntl.F_GETFL) == flags
    assert os.get_blocking(writing_end)
    os.close(reading_end)
    await writer.close()
    assert fcntl.fcntl(writing_end, fcntl.F_GETFL) == flags


async def test_closing_leaves_the_given_descriptor_open_and_no_other(
    pipe: tuple[int, int], broken: Broken
) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    writer = DescriptorWriter(pipe[1], broken)
    await writer.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_a_reader_that_is_gone_is_reported_once(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    os.close(reading_end)
    writer.write(b"a\n")
    writer.write(b"b\n")
    assert broken.errors == [errno.EPIPE]
    assert not writer.is_full
    await writer.close()


async def test_a_reader_that_goes_while_some_waits_is_reported_once(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(TEXT)
    assert writer.is_full
    os.close(reading_end)
    await writer.drained()
    writer.write(TEXT)
    assert broken.errors == [errno.EPIPE]
    assert not writer.is_full
    await writer.close()


async def test_closing_ends_when_the_reader_goes(pipe: tuple[int, int], broken: Broken) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(TEXT)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    assert not closing.done()
    os.close(reading_end)
    await closing


async def test_a_slow_reader_of_a_socket_gets_everything_in_order(broken: Broken) -> None:
    near, far = socket.socketpair()
    with near, far:
        writer = DescriptorWriter(near.fileno(), broken)
        for piece in pieces(TEXT):
            writer.write(piece)
        assert writer.is_full
        assert os.get_blocking(near.fileno())
        reader = asyncio.create_task(asyncio.to_thread(read_all, far.fileno(), len(TEXT)))
        await writer.close()
        assert await reader == TEXT
        assert os.get_blocking(near.fileno())
        near.send(b"still open")
        assert far.recv(100) == b"still open"


async def test_a_socket_whose_other_end_is_gone_is_reported_once(broken: Broken) -> None:
    near, far = socket.socketpair()
    with near:
        writer = DescriptorWriter(near.fileno(), broken)
        far.close()
        writer.write(b"a")
        writer.write(b"b")
        await writer.close()
    assert broken.errors == [errno.EPIPE]


async def test_a_file_is_appended_to_where_its_offset_is(tmp_path: Path, broken: Broken) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        file.write(b"before\n")
        writer = DescriptorWriter(file.fileno(), broken)
        writer.write(TEXT)
        assert not writer.is_full
        writer.write(b"end\n")
        await writer.close()
        file.write(b"after\n")
    assert path.read_bytes() == b"before\n" + TEXT + b"end\nafter\n"


async def test_dev_null_takes_everything(broken: Broken) -> None:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    writer = DescriptorWriter(descriptor, broken)
    writer.write(TEXT)
    await writer.close()
    os.close(descriptor)
    assert broken.errors == []


async def test_a_full_disk_is_reported_and_the_next_lines_are_tried_again(broken: Broken) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = DescriptorWriter(descriptor, broken)
    writer.write(b"a\n")
    assert broken.errors == [errno.ENOSPC]
    room = os.open(os.devnull, os.O_WRONLY)
    os.dup2(room, descriptor)
    writer.write(b"b\n")
    await writer.close()
    os.close(room)
    os.close(descriptor)
    assert broken.errors == [errno.ENOSPC]


async def test_a_slow_terminal_gets_everything_in_order(broken: Broken) -> None:
    text = TEXT[:200_000]
    master, slave = pty.openpty()
    tty.setraw(slave)
    writer = DescriptorWriter(slave, broken)
    for piece in pieces(text):
        writer.write(piece)
    assert os.get_blocking(slave)
    reader = asyncio.create_task(asyncio.to_thread(read_all, master, len(text)))
    await writer.close()
    assert await reader == text
    assert os.get_blocking(slave)
    os.close(master)
    os.close(slave)


async def test_a_terminal_that_is_gone_is_reported_once(broken: Broken) -> None:
    master, slave = pty.openpty()
    writer = DescriptorWriter(slave, broken)
    os.close(master)
    writer.write(b"a\n")
    writer.write(b"b\n")
    await writer.close()
    os.close(slave)
    assert broken.errors == [errno.EIO]


async def test_what_is_left_when_closing_is_cancelled_is_dropped(
    pipe: tuple[int, int], broken: Broken
) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(TEXT)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    await cancel(closing)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert not writer.is_full
    await writer.drained()
    taken = writer.taken_bytes
    writer.write(b"too late\n")
    assert read_all(reading_end, taken) == TEXT[:taken]
    os.set_blocking(reading_end, False)
    with pytest.raises(BlockingIOError):
        os.read(reading_end, 1)
    assert broken.errors == []


async def test_it_tells_how_much_its_reader_has_taken(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(b"x" * 100_000)
    assert writer.taken_bytes == fcntl.fcntl(writing_end, fcntl.F_GETPIPE_SZ)
    reader = asyncio.create_task(asyncio.to_thread(read_all, reading_end, 100_000))
    await writer.close()
    await reader
    assert writer.taken_bytes == 100_000


@pytest.mark.usefixtures("of_another_user")
async def test_a_slow_reader_of_another_users_pipe_gets_everything_in_order(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    for piece in pieces(TEXT):
        writer.write(piece)  # would block for ever
    assert writer.is_full
    assert os.get_blocking(writing_end)
    reader = asyncio.create_task(asyncio.to_thread(read_all, reading_end, len(TEXT)))
    await writer.close()
    assert await reader == TEXT
    assert broken.errors == []


@pytest.mark.usefixtures("of_another_user")
async def test_another_users_pipe_that_its_owner_unblocked_gets_everything_in_order(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    os.set_blocking(writing_end, False)
    fcntl.fcntl(writing_end, fcntl.F_SETPIPE_SZ, 4096)
    writer = DescriptorWriter(writing_end, broken)
    for piece in pieces(TEXT[:200_000], 3000):
        writer.write(piece)
    reader = asyncio.create_task(asyncio.to_thread(read_all, reading_end, 200_000))
    await writer.close()
    assert await reader == TEXT[:200_000]


@pytest.mark.usefixtures("of_another_user")
async def test_a_reader_of_another_users_pipe_that_goes_is_reported_once(
    pipe: tuple[int, int], broken: Broken
) -> None:
    reading_end, writing_end = pipe
    writer = DescriptorWriter(writing_end, broken)
    writer.write(TEXT)
    os.close(reading_end)
    await writer.drained()
    writer.write(b"b\n")
    await writer.close()
    assert broken.errors == [errno.EPIPE]


@pytest.mark.usefixtures("of_another_user")
@pytest.mark.parametrize("text", [TEXT[:200_000], b"\n" * 40_000], ids=["lines", "newlines"])
async def test_a_slow_terminal_of_another_user_gets_everything_in_order(
    broken: Broken, text: bytes
) -> None:
    master, slave = pty.openpty()
    writer = DescriptorWriter(slave, broken)
    for piece in pieces(text):
        writer.write(piece)  # would block for ever
    assert os.get_blocking(slave)
    shown = text.replace(b"\n", b"\r\n")
    reader = asyncio.create_task(asyncio.to_thread(read_all, master, len(shown)))
    await writer.close()
    assert await reader == shown
    os.close(master)
    os.close(slave)


@pytest.mark.usefixtures("of_another_user")
async def test_a_stopped_terminal_of_another_user_is_not_waited_for(broken: Broken) -> None:
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)  # as ^S does
    writer = DescriptorWriter(slave, broken)
    writer.write(b"later\n")
    assert writer.taken_bytes == 0
    termios.tcflow(slave, termios.TCOON)
    await writer.close()
    assert read_all(master, 7) == b"later\r\n"
    os.close(master)
    os.close(slave)
