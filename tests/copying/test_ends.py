from __future__ import annotations

import fcntl
import os
import struct
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsup.copying.ends import Ends, copy_of, ends
from hsup.terminal import WindowSize, window_size


@pytest.fixture
def streams() -> Iterator[None]:
    """Let a test replace the standard streams."""
    saved = {stream: copy_of(stream) for stream in (0, 1, 2)}
    yield
    for stream, descriptor in saved.items():
        os.dup2(descriptor, stream)
        os.close(descriptor)


@pytest.fixture
def made(streams: None) -> Iterator[list[Ends]]:
    del streams
    made: list[Ends] = []
    yield made
    for one in made:
        one.leave()
        one.keep()


def replace(*streams: int, path: Path | str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOCTTY)
    for stream in streams:
        os.dup2(descriptor, stream)
    os.close(descriptor)


def terminal() -> str:
    """Return the path of a terminal of 33 rows that echoes nothing."""
    master, slave = os.openpty()
    modes = termios.tcgetattr(slave)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))
    return os.ttyname(slave)


def test_each_file_has_a_pipe_and_the_programs_input_is_the_callers(
    tmp_path: Path, made: list[Ends]
) -> None:
    for stream, name in enumerate(("in", "out", "err")):
        replace(stream, path=tmp_path / name)
    made.append(ends())
    (one,) = made
    assert set(one.given) == {1, 2}
    assert [copied.stream for copied in one.copied] == [1, 2]
    assert one.keyboard is None
    os.write(one.given[2], b"line")
    assert os.read(one.copied[1].reading, 9) == b"line"


def test_streams_to_the_same_file_share_a_pipe_which_keeps_the_order(
    tmp_path: Path, made: list[Ends]
) -> None:
    replace(1, 2, path=tmp_path / "both")
    made.append(ends())
    (one,) = made
    assert one.given[1] == one.given[2]
    assert [copied.stream for copied in one.copied] == [1]


def test_a_stream_that_the_caller_has_closed_stays_closed(tmp_path: Path, made: list[Ends]) -> None:
    replace(2, path=tmp_path / "err")
    os.close(1)
    made.append(ends())
    (one,) = made
    assert set(one.given) == {2}
    assert min(*one.given.values(), *(copied.reading for copied in one.copied)) > 2
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(1)


def test_one_terminal_is_replaced_by_one_that_changes_no_byte(
    tmp_path: Path, made: list[Ends]
) -> None:
    replace(0, 1, path=tmp_path / "file")
    replace(2, path=terminal())
    made.append(ends())
    (one,) = made
    assert os.isatty(one.given[2])
    assert not os.isatty(one.given[1])
    assert window_size(one.given[2]) == WindowSize(33, 99)
    os.write(one.given[2], b"a\nb\r\x1b[0m")
    assert os.read(one.copied[1].reading, 99) == b"a\nb\r\x1b[0m"


def test_a_whole_terminal_is_replaced_by_one_with_its_modes_and_its_size(
    made: list[Ends],
) -> None:
    replace(0, 1, 2, path=terminal())
    made.append(ends())
    (one,) = made
    assert one.given[0] == one.given[1] == one.given[2]
    assert one.keyboard == one.copied[0].reading
    modes, given = (termios.tcgetattr(descriptor) for descriptor in (0, one.given[0]))
    assert modes[:6] == given[:6]
    assert not given[tty.LFLAG] & termios.ECHO
    assert window_size(one.given[0]) == WindowSize(33, 99)


def test_no_program_inherits_an_end(tmp_path: Path, made: list[Ends]) -> None:
    replace(1, path=tmp_path / "out")
    made.append(ends())
    (one,) = made
    numbers = [*one.given.values(), *(copied.reading for copied in one.copied)]
    assert not any(map(os.get_inheritable, numbers))
