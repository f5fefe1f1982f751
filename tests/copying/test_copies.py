from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hsup.copying.copies import Copy
from hsup.copying.ends import Copied, lifted
from hsup.output.logs import Unfinished


class Kept:
    """Keeps lines; there is no room for more while it is full."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes, bool]] = []
        self.is_full = False
        self.has_room = asyncio.Event()

    def write(self, stream: str, lines: bytes, *, is_partial: bool) -> None:
        self.lines.append((stream, lines, is_partial))

    async def room(self) -> None:
        if self.is_full:
            await self.has_room.wait()


class Pipes:
    """The program's pipe, and the caller's."""

    def __init__(self) -> None:
        reading, self.program = os.pipe()
        self.reading = lifted(reading)
        self.caller, self.stream = os.pipe()
        self.kept = Kept()
        self.hung_up = 0

    def copy(self, stream: int | None = None) -> Copy:
        copied = Copied(self.reading, self.stream if stream is None else stream)
        return Copy(copied, self.kept, Unfinished(), self._hang_up)

    def _hang_up(self) -> None:
        self.hung_up += 1


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():  # of other processes, which no event tells
            await turns(1)


async def turns(number: int) -> None:
    """Let the event loop do what it can."""
    for _ in range(number):
        await asyncio.sleep(0)


def fill(pipe: int) -> int:
    """Write as much as there is room for; return how much that was."""
    os.set_blocking(pipe, False)
    written = 0
    with suppress(BlockingIOError):
        while True:
            written += os.write(pipe, b"x" * 4096)
    return written


async def test_bytes_are_copied_as_they_come_and_lines_when_they_are_whole() -> None:
    pipes = Pipes()
    copy = pipes.copy()
    os.write(pipes.program, b"one\nprompt> ")
    await until(lambda: pipes.kept.lines)
    assert os.read(pipes.caller, 99) == b"one\nprompt> "
    assert pipes.kept.lines == [("stdout", b"one\n", False)]
    os.close(pipes.program)
    await copy.finish()
    assert pipes.kept.lines[1:] == [("stdout", b"prompt> ", False)]


async def test_the_program_is_not_read_faster_than_the_caller_reads() -> None:
    pipes = Pipes()
    copy = pipes.copy()
    written = 0
    while more := fill(pipes.program):
        written += more
        await turns(100)
    assert written <= 4 * (1 << 16)
    os.close(pipes.program)
    finishing = asyncio.create_task(copy.finish())
    os.set_blocking(pipes.caller, False)
    received = 0
    async with asyncio.timeout(30):
        while received < written:
            await turns(1)
            with suppress(BlockingIOError):
                received += len(os.read(pipes.caller, 1 << 16))
    await finishing


async def test_a_quick_destination_is_waited_for() -> None:
    pipes = Pipes()
    pipes.kept.is_full = True
    copy = pipes.copy()
    os.write(pipes.program, b"one\n")
    await until(lambda: pipes.kept.lines)
    os.write(pipes.program, b"two\n")
    os.close(pipes.program)
    await turns(100)
    assert len(pipes.kept.lines) == 1
    pipes.kept.is_full = False
    pipes.kept.has_room.set()
    await copy.finish()
    assert os.read(pipes.caller, 99) == b"one\ntwo\n"


async def test_a_program_whose_reader_has_gone_has_a_broken_pipe() -> None:
    pipes = Pipes()
    copy = pipes.copy()
    os.close(pipes.caller)
    os.write(pipes.program, b"one\n")
    await until(lambda: _is_broken(pipes.program))
    await copy.finish()
    assert copy.error is None


def _is_broken(descriptor: int) -> bool:
    try:
        os.write(descriptor, b"x")
    except BrokenPipeError:
        return True
    return False


async def test_a_file_that_is_full_is_an_error() -> None:
    pipes = Pipes()
    full = os.open("/dev/full", os.O_WRONLY)
    copy = pipes.copy(full)
    os.write(pipes.program, b"one\n")
    await until(lambda: copy.error)
    assert copy.error is not None
    assert copy.error.errno == errno.ENOSPC
    await copy.finish()
    os.close(full)


async def test_what_is_written_goes_to_the_end_of_a_file(tmp_path: Path) -> None:
    pipes = Pipes()
    path = tmp_path / "file"
    path.write_bytes(b"before\n")
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    copy = pipes.copy(file)
    os.write(pipes.program, b"after\n")
    os.close(pipes.program)
    await copy.finish()
    assert path.read_bytes() == b"before\nafter\n"
    os.close(file)


async def test_a_process_that_has_the_pipe_open_at_the_end_is_not_waited_for_long() -> None:
    pipes = Pipes()
    copy = pipes.copy()
    os.write(pipes.program, b"last")
    await copy.finish()
    assert os.read(pipes.caller, 99) == b"last"
    assert _is_broken(pipes.program)


async def test_who_does_not_want_to_wait_for_a_slow_reader_need_not() -> None:
    pipes = Pipes()
    copy = pipes.copy()
    while fill(pipes.program):
        await turns(100)
    os.close(pipes.program)
    finishing = asyncio.create_task(copy.finish())
    await turns(100)
    finishing.cancel()
    await asyncio.wait([finishing], timeout=30)
    assert finishing.cancelled()
