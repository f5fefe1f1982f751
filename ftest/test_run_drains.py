"""`hsup run` with log drains: the caller's streams are as without, and the drain has the lines."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftest.program import Hsup
from ftest.terminal import Terminal

#: A drain that appends what it gets to a file, one JSON object for each batch of lines. One that
#: is `away` is never reached.
DRAIN = """
import json
from hsup import hookimpl
from hsup.errors import DrainUnreachable, UsageError
from hsup.log_drain import DrainLimits

class Appending:
    limits = DrainLimits()

    def __init__(self, destination):
        self.path = destination.url.path
        self.away = destination.url.host == "away"
        if destination.url.host == "wrong":
            raise UsageError('host "wrong" makes no sense', hint="use another one")

    async def deliver(self, block):
        if self.away:
            raise DrainUnreachable("nobody is there")
        with open(self.path, "a") as file:
            for one in block.batches:
                text = one.lines.decode("latin-1")
                file.write(json.dumps([one.source, one.dyno, one.stream, text]) + "\\n")

    async def close(self):
        pass

@hookimpl
def hsup_register_log_drains():
    return {"append": Appending}
"""


class Drained:
    """A drain's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"append:{path}"

    @property
    def batches(self) -> list[Any]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def text(self, *streams: str) -> str:
        return "".join(
            text
            for source, _, stream, text in self.batches
            if source == "app" and stream in (streams or ("stdout", "stderr"))
        )


@pytest.fixture
def drain(hsup: Hsup, install: Callable[..., None]) -> Drained:
    install("hsup-log-append", DRAIN)
    drain = Drained(hsup.directory / "drained.jsonl")
    hsup.environ["HSUP_DRAIN"] = drain.url
    return drain


def test_lines_are_delivered_in_order_and_the_last_without_newline(
    hsup: Hsup, drain: Drained
) -> None:
    done = hsup.call("run", "--start-number", "7", "seq 5000; printf last")
    expected = "".join(f"{number}\n" for number in range(1, 5001)) + "last"
    assert (done.text, done.err, done.status) == (expected, b"", 0)
    assert drain.text() == expected
    assert {tuple(one[:3]) for one in drain.batches} == {("app", "run.7", "stdout")}


def test_the_two_streams_stay_apart_and_the_drain_knows_them(hsup: Hsup, drain: Drained) -> None:
    done = hsup.call("run", "echo out; echo err >&2; exit 3")
    assert (done.out, done.err, done.status) == (b"out\n", b"err\n", 3)
    assert (drain.text("stdout"), drain.text("stderr")) == ("out\n", "err\n")


def test_ten_megabytes_of_random_bytes_are_the_same_with_a_drain_and_without(
    hsup: Hsup, drain: Drained
) -> None:
    data = os.urandom(10_000_000)
    with_drain = hsup.call("run", "--", "cat", stdin=data)
    del hsup.environ["HSUP_DRAIN"]
    without = hsup.call("run", "--", "cat", stdin=data)
    assert with_drain.out == without.out == data
    assert (with_drain.err, with_drain.status) == (without.err, without.status) == (b"", 0)
    drained = drain.text().encode("latin-1")
    assert hashlib.sha256(drained).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("line", ["kill -TERM $$", "exit 255", "no-such-program-of-ftest"])
def test_the_status_is_the_programs(hsup: Hsup, drain: Drained, line: str) -> None:
    with_drain = hsup.call("run", line)
    del hsup.environ["HSUP_DRAIN"]
    without = hsup.call("run", line)
    assert with_drain.status == without.status
    assert with_drain.out == without.out


def test_a_reader_that_goes_ends_the_program_as_a_closed_pipe_does(
    hsup: Hsup, drain: Drained
) -> None:
    line = '"$@" | head -1; exit ${PIPESTATUS[0]}'
    words = ("bash", "-c", line, "-", *hsup.words("run", "--", "yes"))
    with_drain = subprocess.run(
        words, cwd=hsup.directory, env=hsup.environ, stdout=subprocess.PIPE, check=False
    )
    assert (with_drain.stdout, with_drain.returncode) == (b"y\n", 141)


def test_a_drain_that_is_away_does_not_slow_the_command_and_its_lines_are_counted(
    hsup: Hsup, drain: Drained
) -> None:
    hsup.environ["HSUP_DRAIN"] = "append://away/"
    done = hsup.call("run", "--grace", "0", "seq 20000")
    assert done.text == "".join(f"{number}\n" for number in range(1, 20001))
    assert done.status == 0
    assert "hsup: warning: drain append://away: nobody is there\n" in done.message
    assert "hsup: warning: drain append://away: 20000 lines were not delivered\n" in done.message


def test_a_drain_that_makes_no_sense_is_refused_before_anything_runs(
    hsup: Hsup, drain: Drained
) -> None:
    hsup.environ["HSUP_DRAIN"] = "append://wrong/s3cret"
    done = hsup.call("run", "echo ran")
    assert (done.out, done.status) == (b"", 2)
    assert done.message.startswith('hsup: drain append://wrong: host "wrong" makes no sense')
    assert "s3cret" not in done.message


def test_sigterm_goes_to_the_program(hsup: Hsup, drain: Drained) -> None:
    running = hsup.begin("run", f"trap 'echo told; exit 9' TERM; {hsup.sleep} & echo ready; wait")
    running.wait_for("^ready$")
    hsup.sleepers()
    assert running.stop(signal.SIGTERM) == 9
    assert drain.text() == "ready\ntold\n"


Opener = Callable[..., Terminal]

#: Tells what a program finds at its streams.
LOOKS = (
    "for n in 0 1 2; do test -t $n && printf 'tty '; test -t $n || printf 'no '; done; stty size"
)


def test_a_program_on_a_terminal_sees_its_size_and_that_it_changes(
    hsup: Hsup, drain: Drained, terminal: Opener
) -> None:
    line = f"trap 'stty size; exit 5' WINCH; {LOOKS}; echo ready; while :; do sleep 0.1; done"
    screen = terminal("run", line, rows=31, columns=97)
    screen.wait_for("tty tty tty 31 97\r\n")
    screen.wait_for("ready\r\n")
    screen.resize(40, 120)
    screen.wait_for("40 120\r\n")
    assert screen.ended() == 5
    assert drain.text() == "tty tty tty 31 97\r\nready\r\n40 120\r\n"


def test_the_interrupt_key_interrupts_the_program(
    hsup: Hsup, drain: Drained, terminal: Opener
) -> None:
    screen = terminal("run", "trap 'echo told; exit 6' INT; echo ready; while :; do sleep 0.1; done")
    screen.wait_for("ready\r\n")
    screen.type("\x03")
    screen.wait_for("told\r\n")
    assert screen.ended() == 6


def test_what_is_typed_reaches_the_program_and_is_echoed_once(
    hsup: Hsup, drain: Drained, terminal: Opener
) -> None:
    screen = terminal("run", "echo ready; read word; echo got $word")
    screen.wait_for("ready\r\n")
    screen.type("hello\r")
    screen.wait_for("^hello\r\ngot hello\r\n")
    assert screen.ended() == 0


@pytest.mark.parametrize(
    ("redirection", "seen"),
    [("2>err", "tty tty no "), ("</dev/null", "no tty tty "), (">out", "tty no tty ")],
)
def test_each_stream_is_a_terminal_or_none_as_it_was(
    hsup: Hsup, drain: Drained, terminal: Opener, redirection: str, seen: str
) -> None:
    looks = LOOKS.replace("; stty size", "")
    program = f"{looks}; echo; echo over >&2"
    argv = ["bash", "-c", f'"$@" {redirection}', "-", *hsup.words("run", program)]
    screen = terminal(argv=argv)
    assert screen.ended() == 0
    assert seen in drain.text("stdout")
