from __future__ import annotations

import os
import pty
import select
import termios
from collections.abc import Iterator

import pytest

from hsup.output import echo as echo_module
from hsup.output.echo import Echo
from hsup.output.printer import UnmixedLines
from hsup.output.screen import ScreenFormatter
from hsup.testing import make_batch


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def echo(ends: tuple[int, int]) -> Iterator[Echo]:
    echo = Echo(ends[1], has_reader=True)
    assert not echo.has_ended_line()
    yield echo
    echo.close()


def type_line(ends: tuple[int, int], line: bytes) -> None:
    """Type a line, which arrives a little later."""
    os.write(ends[0], line)
    select.select([ends[1]], [], [], 60)


def without(terminal: int, mode: int) -> None:
    modes = termios.tcgetattr(terminal)
    modes[3] &= ~mode
    termios.tcsetattr(terminal, termios.TCSANOW, modes)


def test_a_line_that_was_typed_ends_the_line_once(ends: tuple[int, int], echo: Echo) -> None:
    type_line(ends, b"Ada\n")
    assert echo.has_ended_line()
    assert not echo.has_ended_line()


def test_a_line_that_was_read_already_ends_the_line_once(ends: tuple[int, int], echo: Echo) -> None:
    os.write(ends[0], b"Ada\n")
    os.read(ends[1], 100)
    assert echo.has_ended_line()
    assert not echo.has_ended_line()


def test_half_a_line_ends_nothing(ends: tuple[int, int], echo: Echo) -> None:
    os.write(ends[0], b"Ada")
    select.select([ends[0]], [], [], 60)  # it is echoed
    assert not echo.has_ended_line()


@pytest.mark.parametrize("mode", [termios.ECHO, termios.ICANON])
def test_what_was_typed_without_an_echo_ends_nothing(
    ends: tuple[int, int], echo: Echo, mode: int
) -> None:
    modes = termios.tcgetattr(ends[1])
    without(ends[1], mode)
    assert not echo.has_ended_line()
    os.write(ends[0], b"secret\n")
    os.read(ends[1], 100)
    termios.tcsetattr(ends[1], termios.TCSANOW, modes)
    assert not echo.has_ended_line()


def test_without_a_watch_less_is_known(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echo_module, "_watch_reads", lambda _: None)
    echo = Echo(ends[1], has_reader=True)
    echo.has_ended_line()
    os.write(ends[0], b"a\n")
    os.read(ends[1], 100)
    assert not echo.has_ended_line()
    type_line(ends, b"b\n")
    assert echo.has_ended_line()
    echo.close()


def test_a_line_that_the_echo_has_ended_goes_on_in_another(
    ends: tuple[int, int], echo: Echo
) -> None:
    lines = UnmixedLines(ScreenFormatter(coloured=False, has_times=False), echo)
    begun = make_batch(b"Name? ", is_partial=True)
    assert lines.unfinished(begun) == b"web.1 | Name? "
    os.write(ends[0], b"Ada\n")
    os.read(ends[1], 100)
    assert lines(make_batch(b"Name? Hello\n")) == b"web.1 | Hello\n"
    assert lines.unfinished(begun) == b"web.1 | Name? "
    type_line(ends, b"Ada\n")
    assert lines(make_batch(b"x\n", dyno="web.2")) == b"web.2 | x\n"
    assert lines(make_batch(b"Name? \n")) == b""
