"""What a person at a terminal sees: `run` hands the terminal on, `start` colours."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable

import pytest

from ftest.program import Hsup, eventually
from ftest.terminal import Terminal

ESCAPE = "\x1b["


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(web="exec sleep 1")


def test_all_three_streams_are_the_terminal(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all three")
    screen.wait_for("all three")
    assert screen.ended() == 0


def test_the_program_sees_the_size_of_the_window(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "--", "stty", "size", rows=33, columns=101)
    screen.wait_for("33 101")
    assert screen.ended() == 0


def test_a_change_of_the_window_reaches_the_program(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "trap 'stty size' WINCH; echo ready; until read -t 0.05; do :; done")
    screen.wait_for("ready")
    screen.resize(50, 132)
    screen.wait_for("50 132")
    screen.type("\n")
    assert screen.ended() == 0


def test_ctrl_c_goes_to_the_program(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "trap 'echo told; exit 7' INT; echo ready; while :; do read; done")
    screen.wait_for("ready")
    screen.type("\x03")
    screen.wait_for("told")
    assert screen.ended() == 7
    assert "Traceback" not in screen.seen


def test_a_program_that_ignores_ctrl_c_runs_on(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "trap '' INT; echo ready; read line; echo got $line")
    screen.wait_for("ready")
    screen.type("\x03")
    screen.type("still here\n")
    screen.wait_for("got still here")
    assert screen.ended() == 0


def test_every_key_goes_to_the_program(terminal: Callable[..., Terminal]) -> None:
    """Also ^P^Q, which take a user off a container of Docker where nobody turns that off."""
    screen = terminal("run", "stty raw -echo; echo ready; head -c 4 | od -An -tx1; stty sane")
    screen.wait_for("ready")
    screen.type("\x10\x11\x1ax")
    screen.wait_for("10 11 1a 78")
    assert screen.ended() == 0


def test_ctrl_d_is_the_end_of_the_input(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "echo ready; cat; echo over")
    screen.wait_for("ready")
    screen.type("\x04")
    screen.wait_for("over")
    assert screen.ended() == 0


def test_an_interactive_bash_has_job_control(hsup: Hsup, terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "bash", "--norc", "--noprofile", "-i")
    screen.type("PS1='> '; echo rea''dy\n")
    screen.wait_for("ready")
    assert "no job control" not in screen.seen
    screen.type(f"{hsup.sleep}\n")
    hsup.sleepers()
    screen.type("\x1a")
    screen.wait_for("Stopped")
    screen.type("bg; kill %1; wait; echo wa''ited\n")
    screen.wait_for("waited")
    assert not hsup.sleepers(0)
    screen.type(f"{hsup.sleep}\n")
    hsup.sleepers()
    screen.type("\x03")
    screen.type("echo st''atus $?; exit 6\n")
    screen.wait_for("status 130")
    assert screen.ended() == 6


@pytest.mark.simple_only("^Z is for the terminal of the dyno where it has one of its own")
def test_a_run_can_be_suspended_and_continued_by_the_callers_shell(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal(argv=["bash", "--norc", "--noprofile", "-i"])
    screen.type(f"{hsup.path} --driver {hsup.driver} run -- {hsup.sleep}\n")
    job = os.getpgid(hsup.sleepers().pop())
    screen.type("\x1a")
    screen.wait_for("Stopped")
    screen.type("echo fr''ee; fg\n")
    screen.wait_for("free")
    screen.wait_for("run -- sleep")
    assert eventually(lambda: os.tcgetpgrp(screen.master) == job)  # which comes after the line
    screen.type("\x03")
    screen.type("echo st''atus $?; exit\n")
    screen.wait_for("status 130")
    assert screen.ended() == 0


def test_the_terminal_is_given_back_to_the_caller(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    call = f"{hsup.path} --driver {hsup.driver} run -- true"
    screen = terminal(argv=["bash", "-c", f"{call}; echo back; read line; echo got $line"])
    screen.wait_for("back")
    screen.type("a word\n")
    screen.wait_for("got a word")
    assert screen.ended() == 0


def test_the_settings_of_the_terminal_are_given_back(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    call = f"{hsup.path} --driver {hsup.driver} run -- bash -c 'stty raw -echo; kill -9 $$'"
    before_and_after = f"stty -g; {call}; stty sane; echo; echo back"
    screen = terminal(argv=["bash", "-c", before_and_after])
    screen.wait_for("back")
    assert screen.ended() == 0


@pytest.mark.not_with("docker", "an engine gives a terminal for all streams, or none")
def test_a_stream_that_is_no_terminal_stays_none(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    call = f"{hsup.path} --driver {hsup.driver} run"
    screen = terminal(argv=["bash", "-c", f"{call} '[ -t 0 ] && ! [ -t 1 ] && echo mixed' | cat"])
    screen.wait_for("mixed")
    assert screen.ended() == 0


def test_start_colours_the_dynos_apart(terminal: Callable[..., Terminal], hsup: Hsup) -> None:
    hsup.procfile(one="echo first; exec sleep 1", two="echo second; exec sleep 1")
    screen = terminal("start", "--oneshot")
    assert screen.ended() == 0
    lines = [line for line in screen.seen.splitlines() if line.endswith(("first", "second"))]
    colours = re.findall(r"\x1b\[(\d+)m[\d:]+ \w+\.1 \|\x1b\[0m ", "".join(lines))
    assert len(lines) == len(colours) == len(set(colours)) == 2


@pytest.mark.parametrize("columns", [80, 200])
def test_start_prints_for_reading(
    hsup: Hsup, terminal: Callable[..., Terminal], columns: int
) -> None:
    hsup.procfile(web="echo hello; exit 3", worker=hsup.born)
    screen = terminal("start", columns=columns, env={"NO_COLOR": "1"})
    for line in (
        rf"{hsup.directory.name}, release v1: web\.1, worker\.1",
        rf"source procfile.*, driver {hsup.driver}",
        r"web (serves|cannot serve) on port 5000; \^C stops all",
        r"web\.1 exited with status 3, restarts in 1 s",
        r"web\.1 started.*",
    ):
        screen.wait_for(rf"(?m)^\d\d:\d\d:\d\d hsup     \| {line}\r$")
    screen.type("\x03")
    screen.wait_for(r"\r[\d:]+ hsup     \| stopping all dynos: SIGINT received")
    screen.wait_for(r"\| worker\.1 stopped")
    assert screen.ended() == 130


def own_lines(seen: str) -> list[str]:
    return re.findall(r"[\d:]+ hsup +\| (.*?)\r?\n", seen)


@pytest.mark.simple_only("what is printed is the same with other drivers, which take longer")
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_what_runs_here_is_said_in_three_lines_however_wide_the_window_is(
    hsup: Hsup, terminal: Callable[..., Terminal], columns: int
) -> None:
    types = (f"type{number}" for number in range(20))
    hsup.procfile(web="true", **dict.fromkeys(types, "true"))
    screen = terminal("start", "--oneshot", columns=columns, env={"NO_COLOR": "1"})
    assert screen.ended() == 0
    lines = screen.seen.splitlines()
    assert max(map(len, lines[:3])) <= columns
    assert any(re.match(r"web\.1 started|Warning:", line) for line in own_lines(screen.seen)[3:])


def test_all_lines_have_as_wide_a_column_from_the_first_one_on(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.files({".env": "A=$PATH\n"})
    hsup.procfile(release="echo tried", background="echo hello")
    screen = terminal("start", "--oneshot", columns=200, env={"NO_COLOR": "1"})
    assert screen.ended() == 0
    lines = re.findall(r"(?m)^[\d:]+ .*", screen.seen)
    assert any("Warning: .env line 1" in line for line in lines)
    assert any("tried" in line for line in lines)
    assert {line.index("|") for line in lines} == {len("12:28:33 background.1 ")}


@pytest.mark.simple_only("a container has its own ports")
def test_a_port_that_is_taken_is_not_said_to_serve(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(web="true")
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        screen = terminal("start", "--oneshot", "-p", str(port), env={"NO_COLOR": "1"})
        assert screen.ended() == 0
    assert f"web cannot serve on port {port}; ^C stops all" in screen.seen
    assert f"port {port})" in screen.seen
    assert "serves" not in screen.seen
    assert "http:" not in screen.seen


def test_a_dyno_that_is_killed_has_one_line(hsup: Hsup, terminal: Callable[..., Terminal]) -> None:
    hsup.procfile(one=f"trap '' TERM; echo ready; {hsup.sleep} & while :; do wait; done")
    screen = terminal("start", "--grace", "1", columns=200, env={"NO_COLOR": "1"})
    screen.wait_for("ready")
    screen.type("\x03")
    assert screen.ended() == 130
    assert own_lines(screen.seen) == [
        "stopping all dynos: SIGINT received",
        "one.1 was killed: at least one process failed to exit within 1 seconds of SIGTERM (R12)",
    ]


def test_what_hsup_logs_looks_like_its_other_lines(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(one="echo hello")
    screen = terminal("--verbose", "start", "--oneshot", columns=200, env={"NO_COLOR": "1"})
    assert screen.ended() == 0
    assert any(line.startswith("the source answered v1") for line in own_lines(screen.seen))
    assert "hsup:" not in screen.seen.partition("release v1")[2]


def test_a_prompt_is_shown_when_it_is_written(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(one=f"printf 'Continue? '; sleep 1; echo yes; exec {hsup.sleep}")
    screen = terminal("start", env={"NO_COLOR": "1"})
    screen.wait_for(r"one\.1 \| Continue\? ")
    asked = time.monotonic()
    screen.wait_for(r"yes\r\n")
    assert time.monotonic() - asked > 0.5
    screen.type("\x03")
    assert screen.ended() == 130


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--no-timestamps",), r"(?m)^one\.1 \| hello\r$"),
        (("--no-prefix",), r"(?m)^hello\r$"),
        (("--log-format", "heroku"), r"(?m)\+00:00 app\[one\.1\]: hello\r$"),
    ],
)
def test_what_stands_before_a_line_can_be_chosen(
    hsup: Hsup, terminal: Callable[..., Terminal], words: tuple[str, ...], line: str
) -> None:
    hsup.procfile(one="echo hello; sleep 0.2", two="echo hidden; sleep 0.2")
    screen = terminal("start", "--oneshot", "--only", "one", *words, env={"NO_COLOR": "1"})
    assert screen.ended() == 0
    assert re.search(line, screen.seen)
    assert "hidden\r\n" not in screen.seen


def test_who_stops_hsup_is_told_what_it_waits_for(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(one=f"trap '' TERM; echo ready; {hsup.sleep} & while :; do wait; done")
    screen = terminal("start", "--grace", "20", env={"NO_COLOR": "1"})
    screen.wait_for("ready")
    screen.type("\x03")
    screen.wait_for(r"waiting for one\.1, to be killed in 18 s; \^C again kills at once")
    screen.type("\x03")
    assert screen.ended() == 130


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ((), {"NO_COLOR": "1"}),
        (("--log-format", "plain"), {"NO_COLOR": "1"}),
        (("--log-format", "json"), {}),
        (("--log-format", "raw"), {}),
    ],
)
def test_start_does_not_colour_where_it_is_told_not_to(
    hsup: Hsup, terminal: Callable[..., Terminal], words: tuple[str, str], env: dict[str, str]
) -> None:
    hsup.procfile(one="echo first")
    screen = terminal("start", "--oneshot", *words, env=env)
    assert screen.ended() == 0
    assert "first" in screen.seen
    assert "\x1b" not in screen.seen


def test_ctrl_c_stops_everything(hsup: Hsup, terminal: Callable[..., Terminal]) -> None:
    hsup.procfile(one=hsup.born, two=hsup.born)
    screen = terminal("start")
    screen.wait_for(r"\.1 \|\S* born")
    screen.wait_for(r"\.1 \|\S* born")
    screen.type("\x03")
    assert screen.ended() == 130
    assert "Traceback" not in screen.seen
