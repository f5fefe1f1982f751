"""`hsup run` with log drains: the caller's streams are as without, and the drain has the lines."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftest.program import Hsup, eventually, process
from ftest.terminal import Terminal

# What holds for every `hsup run` holds with a drain, too: these tests run again here.
from ftest.test_run import (  # noqa: F401 - they are run
    test_a_mebibyte_of_random_bytes_passes_unchanged,
    test_a_program_that_cannot_be_executed_is_named,
    test_a_program_that_ignores_sigterm_is_killed_after_the_grace,
    test_a_program_that_leaves_its_input_unread_ends_well,
    test_sighup_goes_to_the_program,
    test_sigterm_that_is_sent_twice_at_once_is_one_and_leaves_the_grace,
    test_the_callers_streams_block_as_before_whatever_the_program_did_to_them,
    test_the_end_of_the_input_is_seen_while_hsup_runs,
    test_what_the_program_leaves_in_the_background_is_ended,
    test_what_would_end_hsup_goes_to_the_program,
)
from ftest.test_terminal import (  # noqa: F401 - they are run
    test_a_stream_that_is_no_terminal_stays_none,
    test_an_interactive_bash_has_job_control,
    test_ctrl_d_is_the_end_of_the_input,
    test_every_key_goes_to_the_program,
    test_the_settings_of_the_terminal_are_given_back,
    test_the_terminal_is_given_back_to_the_caller,
)

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

#: A driver that finds nothing to run dynos with.
DRIVER = """
from hsup import hookimpl
from hsup.errors import DriverError

class Lacking:
    binds_paths = False

    def build(self, release):
        raise DriverError("there is no engine", hint="start one")

    async def start(self, spec, output):
        raise NotImplementedError

    def run(self, spec, grace_seconds):
        raise NotImplementedError

    def sweep(self):
        return ()

    def close(self):
        pass

@hookimpl
def hsup_register_drivers():
    return {"lacking": lambda settings: Lacking()}
"""


Opener = Callable[..., Terminal]


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


@pytest.fixture(autouse=True)
def drain(
    hsup: Hsup, install: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Drained:
    install("hsup-log-append", DRAIN)
    if hsup.driver == "docker":  # else the first run says that it builds an image
        hsup.call("build")
    drain = Drained(tmp_path_factory.mktemp("drained") / "lines")
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
def test_the_status_is_the_programs(hsup: Hsup, line: str) -> None:
    with_drain = hsup.call("run", line)
    del hsup.environ["HSUP_DRAIN"]
    without = hsup.call("run", line)
    assert with_drain.status == without.status
    assert with_drain.out == without.out


def test_a_reader_that_goes_ends_the_program_as_a_closed_pipe_does(hsup: Hsup) -> None:
    line = '"$@" | head -1; exit ${PIPESTATUS[0]}'
    words = ("bash", "-c", line, "-", *hsup.words("run", "--", "yes"))
    with_drain = subprocess.run(
        words, cwd=hsup.directory, env=hsup.environ, stdout=subprocess.PIPE, check=False
    )
    assert (with_drain.stdout, with_drain.returncode) == (b"y\n", 141)


def test_a_drain_that_is_away_does_not_slow_the_command_and_its_lines_are_counted(
    hsup: Hsup,
) -> None:
    hsup.environ["HSUP_DRAIN"] = "append://away/"
    done = hsup.call("run", "--grace", "0", "seq 20000")
    assert done.text == "".join(f"{number}\n" for number in range(1, 20001))
    assert done.status == 0
    assert "hsup: warning: drain append://away: nobody is there\n" in done.message
    count = 20_000 + 1  # that nobody is there
    text = f"hsup: warning: drain append://away: {count} lines were not delivered\n"
    assert text in done.message


def test_a_drain_that_makes_no_sense_is_refused_before_anything_runs(hsup: Hsup) -> None:
    hsup.environ["HSUP_DRAIN"] = "append://wrong/s3cret"
    done = hsup.call("run", "echo ran")
    assert (done.out, done.status) == (b"", 2)
    assert done.message.startswith('hsup: drain append://wrong: host "wrong" makes no sense')
    assert "s3cret" not in done.message


@pytest.mark.simple_only("it is about a driver of its own")
@pytest.mark.parametrize("has_terminal", [False, True])
def test_a_failure_before_the_program_begins_is_told_and_ends_hsup(
    hsup: Hsup, install: Callable[..., None], terminal: Opener, has_terminal: bool
) -> None:
    install("hsup-driver-lacking", DRIVER)
    words = ("run", "--driver", "lacking", "true")
    if has_terminal:
        screen = terminal(*words)
        screen.wait_for("hsup: there is no engine; start one")
        assert screen.ended() == 1
    else:
        done = hsup.call(*words)
        assert (done.message, done.status) == ("hsup: there is no engine; start one\n", 1)
    assert hsup.processes() == {}


def test_a_release_names_drains_and_one_that_makes_no_sense_keeps_nothing_from_running(
    hsup: Hsup, drain: Drained
) -> None:
    del hsup.environ["HSUP_DRAIN"]
    urls = [f"append://here{drain.path}", "append://wrong/s3cret"]
    hsup.release(Processes=[process("one", "true")], LogDrains=urls)
    done = hsup.call("run", "echo ran")
    assert (done.out, done.status) == (b"ran\n", 0)
    assert drain.text() == "ran\n"
    told = 'hsup: warning: the release\'s drain append://wrong: host "wrong" makes no sense'
    assert told in done.message
    assert "s3cret" not in done.message


def test_sigterm_goes_to_the_program(hsup: Hsup, drain: Drained) -> None:
    running = hsup.begin("run", f"trap 'echo told; exit 9' TERM; {hsup.sleep} & echo ready; wait")
    running.wait_for("^ready$")
    hsup.sleepers()
    assert running.stop(signal.SIGTERM) == 9
    assert drain.text() == "ready\ntold\n"


#: Tells what a program finds at its streams.
LOOKS = (
    "for n in 0 1 2; do test -t $n && printf 'tty '; test -t $n || printf 'no '; done; stty size"
)


def test_a_program_on_a_terminal_sees_its_size_and_that_it_changes(
    drain: Drained, terminal: Opener
) -> None:
    line = f"trap 'stty size; exit 5' WINCH; {LOOKS}; echo ready; while :; do sleep 0.1; done"
    screen = terminal("run", line, rows=31, columns=97)
    screen.wait_for("tty tty tty 31 97\r\n")
    screen.wait_for("ready\r\n")
    screen.resize(40, 120)
    screen.wait_for("40 120\r\n")
    assert screen.ended() == 5
    assert drain.text() == "tty tty tty 31 97\r\nready\r\n40 120\r\n"


def test_the_interrupt_key_interrupts_the_program(terminal: Opener) -> None:
    line = "trap 'echo told; exit 6' INT; echo ready; while :; do sleep 0.1; done"
    screen = terminal("run", line)
    screen.wait_for("ready\r\n")
    screen.type("\x03")
    screen.wait_for("told\r\n")
    assert screen.ended() == 6


def test_what_is_typed_reaches_the_program_and_is_echoed_once(terminal: Opener) -> None:
    screen = terminal("run", "echo ready; read word; echo got $word")
    screen.wait_for("ready\r\n")
    screen.type("hello\r")
    screen.wait_for("^hello\r\ngot hello\r\n")
    assert screen.ended() == 0


@pytest.mark.not_with("docker", "an engine gives a terminal for all streams, or none")
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


@pytest.mark.simple_only("a container has no terminal of the caller's")
def test_a_program_can_ask_at_the_callers_terminal_while_it_reads_something_else(
    hsup: Hsup, drain: Drained, terminal: Opener
) -> None:
    program = "echo ready; read word </dev/tty; cat; echo got $word"
    argv = ["bash", "-c", 'echo piped | "$@"', "-", *hsup.words("run", program)]
    screen = terminal(argv=argv)
    screen.wait_for("ready\r\n")
    screen.type("hello\n")
    screen.wait_for("piped\r\ngot hello\r\n")
    assert screen.ended() == 0
    assert drain.text() == "ready\npiped\ngot hello\n"


@pytest.mark.simple_only("^Z is for the terminal of the dyno where it has one of its own")
def test_a_run_can_be_suspended_and_continued_by_the_callers_shell(
    hsup: Hsup, drain: Drained, terminal: Opener
) -> None:
    screen = terminal(argv=["bash", "--norc", "--noprofile", "-i"])
    program = "echo rea''dy; while read word; do echo got $word; done"
    screen.type(f"{shlex.join(hsup.words('run', program))}\n")
    screen.wait_for("ready\r\n")
    screen.type("one\n")
    screen.wait_for("got one\r\n")
    for word in ("two", "three"):
        screen.type("\x1a")
        screen.wait_for("Stopped")
        screen.type("echo fr''ee; fg\n")
        screen.wait_for("free\r\n")
        screen.wait_for("hsup.*run.*\r\n")
        screen.type(f"{word}\n")
        screen.wait_for(f"got {word}\r\n")
    screen.type("\x03")
    screen.wait_for(r"\^C(?s:.)*# ")
    screen.type("echo st''atus $?; exit\n")
    screen.wait_for("status 130")
    assert screen.ended() == 0
    assert "got one\r\n" in drain.text()
    assert "got three\r\n" in drain.text()


def test_a_run_that_is_killed_leaves_no_process(hsup: Hsup, terminal: Opener) -> None:
    screen = terminal("run", "--grace", "1", f"echo ready; {hsup.sleep}")
    screen.wait_for("ready\r\n")
    hsup.sleepers()
    screen.child.kill()
    assert eventually(lambda: not hsup.processes())


@pytest.mark.parametrize("options", [("--only", "one"), ("--log-format", "none"), ("--tty",)])
def test_drains_of_start_get_all_lines_whatever_is_printed(
    hsup: Hsup, drain: Drained, options: tuple[str, ...]
) -> None:
    if "--tty" in options and hsup.has_containers:
        pytest.skip("a container has terminals of its own")
    hsup.procfile(one="echo of one", two="echo of two >&2")
    hsup.call("start", "--oneshot", *options)
    lines = {(dyno, text.strip()) for source, dyno, _, text in drain.batches if source == "app"}
    assert {("one.1", "of one"), ("two.1", "of two")} <= lines
