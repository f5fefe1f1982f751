"""What a dyno of `hsup start` does with the terminal: it reads it, and leaves it as it was."""

from __future__ import annotations

import os
import re
import signal
import termios
from collections.abc import Callable

import pytest

from ftest.program import Hsup, eventually
from ftest.terminal import Terminal

pytestmark = pytest.mark.simple_only("the streams of a container are no terminals of hsup")

PLAIN = {"NO_COLOR": "1"}
#: Reads single keys, as a program on the whole screen does.
RAW = "stty raw -echo"


def modes(screen: Terminal) -> list[object]:
    return termios.tcgetattr(screen.master)


def is_plain(screen: Terminal) -> bool:
    """Tell whether the terminal echoes, edits lines, and makes a signal of ^C."""
    wanted = termios.ECHO | termios.ICANON | termios.ISIG
    flags = modes(screen)[3]
    assert isinstance(flags, int)
    return flags & wanted == wanted


def test_a_debugger_reads_what_is_typed(hsup: Hsup, terminal: Callable[..., Terminal]) -> None:
    hsup.files({"app.py": "answer = 6\nbreakpoint()\nprint('went on with', answer, flush=True)\n"})
    hsup.procfile(web=f"{hsup.python} app.py; exec {hsup.sleep}", other="while sleep 1; do :; done")
    screen = terminal("start", "--stdin", "web", env=PLAIN)
    before = modes(screen)
    screen.wait_for(r"web\.1   \| \(Pdb\) ")
    screen.type("answer * 6+\x7f9\n")  # backspace takes the + away
    screen.wait_for(r"\n[\d:]+ web\.1   \| 414\r")
    screen.wait_for(r"\n[\d:]+ web\.1   \| \(Pdb\) ")
    screen.type("answer = 7\n")
    screen.wait_for(r"\(Pdb\) ")
    screen.type("continue\n")
    screen.wait_for("went on with 7")
    screen.type("\x03")
    assert screen.ended() == 130
    assert modes(screen) == before


@pytest.mark.parametrize(
    ("echo", "answer"),
    [("echo", r"Ada\r\n[\d:]+ web\.1 \| Hello Ada\r"), ("-echo", r"\AHello Ada\r")],
)
def test_what_is_answered_to_what_was_typed_has_its_prefix(
    hsup: Hsup, terminal: Callable[..., Terminal], echo: str, answer: str
) -> None:
    """If the terminal has not echoed what was typed, the line goes on where it is."""
    asks = f"stty {echo}; printf 'Name? '; read name; stty echo; echo Hello $name"
    hsup.procfile(web=f"{asks}; sleep 0.3; echo later; {hsup.sleep}")
    screen = terminal("start", "--stdin", "web", env=PLAIN)
    screen.wait_for(r"web\.1 \| Name\? ")
    screen.type("Ada\n")
    screen.wait_for(rf"{answer}\n[\d:]+ web\.1 \| later\r")
    screen.type("\x03")
    assert screen.ended() == 130


def test_keys_that_nobody_reads_end_the_line_that_has_begun(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(web=f"printf 'Compiling '; head -c 1 <fifo >out; echo done; exec {hsup.sleep}")
    os.mkfifo(hsup.directory / "fifo")
    screen = terminal("start", env=PLAIN)
    screen.wait_for(r"web\.1 \| Compiling ")
    screen.type("\n")
    screen.wait_for(r"\r\n")
    (hsup.directory / "fifo").write_text("x")
    assert screen.wait_for(r"(?s)(.*)web\.1 \| done\r")[1].count("\n") == 0
    screen.type("\x03")
    assert screen.ended() == 130


def test_the_terminal_is_itself_again_between_a_dyno_and_the_next(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(web=f"{RAW}; printf 'in %s\\r\\n' raw; head -c 1 >out; kill -9 $$")
    screen = terminal("start", "--stdin", "web", env=PLAIN)
    before = modes(screen)
    for _ in range(2):  # the second time, it is not started again at once
        screen.wait_for("in raw")
        assert not is_plain(screen)
        screen.type("\x03")  # a key like any other
        screen.wait_for(r"killed by SIGKILL, restarts (now|in)")
    assert eventually(lambda: modes(screen) == before)
    screen.type("\x03")
    assert screen.ended() == 130
    assert modes(screen) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_terminal_is_itself_again_when_hsup_has_ended(
    hsup: Hsup, terminal: Callable[..., Terminal], number: int
) -> None:
    hsup.procfile(web=f"{RAW}; printf 'in %s\\r\\n' raw; exec {hsup.sleep}")
    screen = terminal("start", "--stdin", "web", env=PLAIN)
    before = modes(screen)
    screen.wait_for("in raw")
    screen.child.send_signal(number)
    assert screen.ended() == (0 if number == signal.SIGTERM else 130)
    assert modes(screen) == before


def test_dynos_know_the_size_of_the_window_and_its_changes(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    """What stands before each line is not for the dyno: its terminal is narrower."""
    look = "stty size <&1"
    hsup.procfile(web=f"trap '{look}' WINCH; {look}; while :; do read -t 0.1; done")
    screen = terminal("start", "--tty", env=PLAIN, rows=33, columns=120)
    screen.wait_for(r"web\.1 \| 33 103\r")
    screen.resize(50, 132)
    screen.wait_for(r"web\.1 \| 50 115\r")
    screen.resize(24, 30)
    screen.wait_for(r"web\.1 \| 24 40\r")
    screen.type("\x03")
    assert screen.ended() == 130


def test_without_a_prefix_dynos_have_the_whole_window(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(web="stty size <&1; sleep 9")
    screen = terminal("start", "--tty", "--no-prefix", env=PLAIN, rows=33, columns=120)
    screen.wait_for(r"\n33 120\r")
    screen.type("\x03")
    assert screen.ended() == 130


def test_a_dyno_that_is_started_later_has_the_size_of_then(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(web="stty size <&1; sleep 2; exit 1")
    screen = terminal("start", "--tty", env=PLAIN, rows=33, columns=120)
    screen.wait_for(r"web\.1 \| 33 103\r")
    screen.resize(50, 132)
    screen.wait_for(r"web\.1 \| 50 115\r")
    screen.type("\x03")
    assert screen.ended() == 130


def test_colours_of_a_dyno_end_with_its_line(hsup: Hsup, terminal: Callable[..., Terminal]) -> None:
    hsup.procfile(web="tput setaf 1; echo red; echo plain; sleep 9")
    screen = terminal("start", "--tty")
    found = screen.wait_for(r"red(.*)\r\n(.*)plain")
    assert re.search(r"\x1b\[0?m", found.group(1) + found.group(2))
    screen.type("\x03")
    assert screen.ended() == 130
