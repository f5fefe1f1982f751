"""The streams, the terminal and the signals of a dyno in the foreground, for any driver.

Each dyno here is a real process, and hsup's part runs in a process of its own.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hsup.terminal import REPEAT_SECONDS

SCRIPT = Path(__file__).with_name("process_dyno.py")
PATIENCE_SECONDS = 60
ENDLESS = "while :; do sleep 0.05; done"


@contextmanager
def running(line: str, *options: object, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    argv = [sys.executable, str(SCRIPT), line, *map(str, options)]
    given: dict[str, Any] = {**pipes, **streams}
    with subprocess.Popen(argv, **given) as started:
        try:
            yield started
        finally:
            started.kill()


def run(
    line: str, *options: object, given: bytes = b"", **streams: Any
) -> tuple[bytes, bytes, int]:
    with running(line, *options, **streams) as started:
        out, err = started.communicate(given, timeout=PATIENCE_SECONDS)
        return out, err, started.returncode


def ended(started: subprocess.Popen[bytes]) -> int:
    return started.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(("line", "status"), [("exit 3", 3), ("kill -9 $$", 137), ("exit 0", 0)])
def test_the_status_is_the_programs(line: str, status: int) -> None:
    assert run(line) == (b"", b"", status)


def test_the_streams_stay_apart() -> None:
    assert run("echo out; echo err >&2") == (b"out\n", b"err\n", 0)


def test_megabytes_pass_both_ways_unchanged() -> None:
    data = os.urandom(3_000_000)
    out, err, status = run("cat", given=data)
    assert (out == data, err, status) == (True, b"", 0)


def test_the_end_of_the_input_is_passed_on_while_it_runs() -> None:
    with running("cat; echo over") as started:
        started.stdin.write(b"one\n")
        started.stdin.flush()
        assert started.stdout.readline() == b"one\n"
        started.stdin.close()
        assert started.stdout.read() == b"over\n"
        assert ended(started) == 0


def test_a_program_that_leaves_its_input_unread_ends_well() -> None:
    assert run("head -c 1", given=b"x" * 3_000_000) == (b"x", b"", 0)


def test_what_follows_in_the_input_is_left_to_others(tmp_path: Path) -> None:
    """Only a little is read ahead for a dyno that reads nothing."""
    file = tmp_path / "file"
    file.write_bytes(bytes(1 << 20))
    with file.open("rb") as given:
        run("true", stdin=given)
        assert os.lseek(given.fileno(), 0, os.SEEK_CUR) <= 1 << 18


@pytest.mark.parametrize(("path", "count"), [("/dev/null", b"0\n"), (SCRIPT, None)])
def test_a_file_is_read_to_its_end(path: str | Path, count: bytes | None) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        out, _, status = run("wc -c", stdin=opened)
    finally:
        os.close(opened)
    assert (out, status) == (count or b"%d\n" % SCRIPT.stat().st_size, 0)


def test_a_stream_that_was_made_non_blocking_loses_nothing() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with running("head -c 3000000 /dev/zero", stdout=writing) as started:
        os.close(writing)
        read = 0
        while part := os.read(reading, 1 << 16):
            read += len(part)
            time.sleep(0.0001)
        assert ended(started) == 0
    os.close(reading)
    assert read == 3_000_000


def test_sigterm_goes_to_the_program_which_has_its_grace() -> None:
    with running(f"trap 'sleep 0.3; echo told; exit 9' TERM; echo ready; {ENDLESS}") as started:
        started.stdout.readline()
        started.terminate()
        assert started.stdout.read() == b"told\n"
        assert ended(started) == 9


def test_after_the_grace_it_is_killed() -> None:
    with running(f"trap '' TERM; echo ready; {ENDLESS}", "--grace", 0.1) as started:
        started.stdout.readline()
        started.terminate()
        assert ended(started) == 137


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_another_sigterm_ends_the_grace(first: signal.Signals) -> None:
    with running(f"trap 'echo told' TERM HUP; echo ready; {ENDLESS}") as started:
        started.stdout.readline()
        started.send_signal(first)
        assert started.stdout.readline() == b"told\n"
        time.sleep(REPEAT_SECONDS)  # or both are one
        started.terminate()
        assert ended(started) == 137


def test_a_sigterm_that_comes_twice_at_once_is_one() -> None:
    line = f"trap 'echo told; sleep 0.5; exit 9' TERM; echo ready; {ENDLESS}"
    with running(line) as started:
        started.stdout.readline()
        started.terminate()
        assert started.stdout.readline() == b"told\n"
        started.terminate()
        assert ended(started) == 9


def test_a_hang_up_comes_twice_and_the_program_has_its_grace_all_the_same() -> None:
    line = f"trap 'echo told; trap - HUP; sleep 0.5; exit 9' HUP; echo ready; {ENDLESS}"
    with running(line) as started:
        started.stdout.readline()
        started.send_signal(signal.SIGHUP)
        assert started.stdout.readline() == b"told\n"
        started.send_signal(signal.SIGHUP)
        assert ended(started) == 9


def test_other_signals_are_passed_on_also_during_the_grace() -> None:
    line = f"trap 'echo one' USR1; trap 'echo told' TERM; echo ready; {ENDLESS}"
    with running(line, "--grace", 600) as started:
        started.stdout.readline()
        for number, word in ((signal.SIGUSR1, b"one\n"), (signal.SIGTERM, b"told\n")) * 2:
            started.send_signal(number)
            if number == signal.SIGTERM:
                break
            assert started.stdout.readline() == word
        assert started.stdout.readline() == b"told\n"
        started.send_signal(signal.SIGUSR1)
        assert started.stdout.readline() == b"one\n"
        time.sleep(REPEAT_SECONDS)
        started.terminate()
        assert ended(started) == 137


def test_what_the_program_leaves_running_is_killed() -> None:
    """Otherwise it would keep the output open for ever."""
    with running("sleep 600 & echo done") as started:
        assert started.stdout.read() == b"done\n"
        assert ended(started) == 0


def test_what_is_left_has_its_grace_where_the_program_was_told_to_end() -> None:
    line = "(trap 'sleep 0.5; echo last; exit' TERM; echo ready; while :; do sleep 0.05; done) & "
    line += "trap 'exit 4' TERM; wait"
    with running(line) as started:
        started.stdout.readline()
        started.terminate()
        assert started.stdout.read() == b"last\n"
        assert ended(started) == 4


@pytest.mark.parametrize(
    ("options", "status"),
    [(("--break-off",), {141, 143}), ((), {141})],
    ids=["told to end", "by its pipe"],
)
def test_a_reader_that_goes_away_ends_the_program_and_is_no_error(
    options: tuple[str, ...], status: set[int]
) -> None:
    with running("yes", *options) as started:
        assert started.stdout.readline() == b"y\n"
        started.stdout.close()
        assert ended(started) in status
        assert started.stderr.read() == b""


def test_who_writes_nothing_more_is_told_that_nobody_reads() -> None:
    """Only a signal can tell it; with a pipe of its own it would notice when it writes."""
    line = "trap 'exit 3' PIPE; trap '' TERM; echo ready; read; echo last; "
    line += "while :; do sleep 0.05; done"
    with running(line, "--break-off") as started:
        started.stdout.readline()
        started.stdout.close()
        started.stdin.write(b"\n")
        started.stdin.flush()
        assert ended(started) == 3


def test_who_ignores_that_nobody_reads_is_killed_after_the_grace() -> None:
    line = "trap '' PIPE TERM; while :; do echo line; sleep 0.01; done 2>/dev/null"
    with running(line, "--break-off", "--grace", 0.2) as started:
        started.stdout.readline()
        started.stdout.close()
        assert ended(started) == 137


@pytest.mark.parametrize("options", [("--break-off",), ()], ids=["told to end", "by its pipe"])
def test_a_disk_that_is_full_is_told(options: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        _, err, status = run("yes", *options, stdout=full)
    hint = b"check where standard output goes\n"
    assert err == b"cannot write the output of the dyno: No space left on device; " + hint
    assert status == 1


def test_a_file_that_may_not_grow_is_told(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with (tmp_path / "out").open("wb") as out:
        _, err, status = run("cat /dev/zero", stdout=out, preexec_fn=limit)
    assert (status, err.startswith(b"cannot write the output of the dyno: File too large")) == (
        1,
        True,
    )
    assert (tmp_path / "out").stat().st_size == 100_000


def test_signals_are_heard_where_nobody_reads() -> None:
    with running("trap '' PIPE; echo first; sleep 0.2; yes", "--grace", 0.2) as started:
        time.sleep(1)  # so that all pipes on the way are full
        started.terminate()
        assert ended(started) in {137, 143}


def test_who_reads_late_gets_what_was_written_before_the_kill() -> None:
    line = f"trap '' TERM; head -c 200000 /dev/zero; echo over >&2; {ENDLESS}"
    with running(line, "--grace", 0.1) as started:
        assert os.read(started.stdout.fileno(), 1) == b"\0"
        time.sleep(0.5)
        started.terminate()
        time.sleep(0.3)  # it was killed meanwhile
        assert len(started.stdout.read()) > 4096 * 16
        assert ended(started) == 137


class Screen:
    """A terminal in which hsup runs, from the user's side."""

    def __init__(self, *argv: str) -> None:
        self.master, slave = os.openpty()
        self.resize(24, 80)
        self.seen = b""
        self.child = subprocess.Popen(
            ["setsid", "--ctty", *argv], stdin=slave, stdout=slave, stderr=slave
        )
        self.slave = slave

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self.master, (rows, columns))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert select.select([self.master], [], [], max(0.0, left))[0], self.seen
            self.seen += os.read(self.master, 1 << 16)
        self.seen = self.seen.partition(text)[2]

    def ended(self) -> int:
        return self.child.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        for one in {self.master, self.slave} - {-1}:
            os.close(one)

    def hang_up(self) -> None:
        os.close(self.master)
        os.close(self.slave)
        self.master = self.slave = -1


@pytest.fixture
def screen() -> Iterator[Callable[..., Screen]]:
    made = []

    def make(line: str, *options: object, around: Sequence[str] = ()) -> Screen:
        words = [sys.executable, str(SCRIPT), line, "--terminal", *map(str, options)]
        made.append(Screen(*around, *words))
        return made[0]

    yield make
    for one in made:
        one.close()


def test_a_terminal_has_the_keys_that_are_typed(screen: Callable[..., Screen]) -> None:
    one = screen("stty raw -echo; echo ready; head -c 3 | od -An -tx1")
    one.wait_for(b"ready")
    one.type(b"\x03\x1ax")
    one.wait_for(b"03 1a 78")
    assert one.ended() == 0


def test_a_change_of_the_window_reaches_the_program(screen: Callable[..., Screen]) -> None:
    one = screen("trap 'stty size' WINCH; echo ready; until read -t 0.05; do :; done")
    one.wait_for(b"ready")
    one.resize(50, 132)
    one.wait_for(b"50 132")
    one.type(b"\n")
    assert one.ended() == 0


def test_the_modes_of_the_terminal_are_given_back(screen: Callable[..., Screen]) -> None:
    one = screen("echo ready; read line")
    before = termios.tcgetattr(one.slave)
    one.wait_for(b"ready")
    assert termios.tcgetattr(one.slave) != before
    one.type(b"\n")
    assert one.ended() == 0
    assert termios.tcgetattr(one.slave) == before


def test_a_terminal_of_another_job_is_left_alone(screen: Callable[..., Screen]) -> None:
    background = 'set -m; "$@" & read line; echo got $line; read line; kill %1; wait %1'
    line = "trap 'exit 9' TERM; echo ready; while :; do echo alive; sleep 0.02; done"
    one = screen(line, around=("bash", "-c", background, "bash"))
    before = termios.tcgetattr(one.slave)
    one.wait_for(b"ready")
    assert termios.tcgetattr(one.slave) == before
    one.type(b"word\n")
    one.wait_for(b"got word")
    for _ in range(20):
        one.wait_for(b"alive")
    one.type(b"\n")
    assert one.ended() == 9


@pytest.mark.parametrize("goes_on", ["while :; do echo x; sleep 0.01; done", "sleep 600 & wait"])
def test_a_program_has_its_grace_when_the_terminal_is_closed(
    screen: Callable[..., Screen], tmp_path: Path, goes_on: str
) -> None:
    """Writing to the terminal fails then, and SIGHUP may come before or after that."""
    mark = tmp_path / "ended"
    one = screen(f"trap 'trap - HUP; sleep 0.5; touch {mark}; exit 9' HUP; echo ready; {goes_on}")
    one.wait_for(b"ready")
    one.hang_up()
    assert one.ended() == 9
    assert mark.exists()


def test_a_terminal_that_is_closed_ends_nothing_after_nohup(
    screen: Callable[..., Screen], tmp_path: Path
) -> None:
    mark = tmp_path / "ended"
    line = f"echo ready; for i in {{1..20}}; do echo x; sleep 0.02; done; touch {mark}; exit 5"
    one = screen(line, "--grace", 0.1, around=("env", "--ignore-signal=HUP"))
    one.wait_for(b"ready")
    one.hang_up()
    assert one.ended() == 5
    assert mark.exists()


def test_the_last_words_on_a_terminal_are_not_lost(screen: Callable[..., Screen]) -> None:
    one = screen("seq 20000")
    one.wait_for(b"\n20000\r\n")
    assert one.ended() == 0
