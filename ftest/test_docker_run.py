"""`hsup run` in a container of an engine's, of which hsup passes on every byte."""

from __future__ import annotations

import os
import signal
import time

import pytest

from ftest.program import Hsup


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


@pytest.mark.parametrize("line", ["yes", "trap '' PIPE; while :; do echo line; sleep 0.05; done"])
def test_a_run_whose_reader_goes_away_ends(hsup: Hsup, line: str) -> None:
    words = ("sh", "-c", '"$@" | head -n 1', "sh")
    done = hsup.call("run", "--grace", "1", line, prefix=words)
    assert len(done.text.splitlines()) == 1
    assert "Traceback" not in done.message


def test_a_run_whose_output_nobody_reads_is_ended_by_sigterm(hsup: Hsup) -> None:
    fifo = hsup.directory / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    running = hsup.begin("run", "--grace", "1", "yes", prefix=("sh", "-c", 'exec "$@" >fifo', "sh"))
    time.sleep(2)  # so that all pipes on the way are full
    assert running.stop(signal.SIGTERM) in {137, 143}
    os.close(reading)


def test_a_dyno_is_taken_over_also_while_a_run_lasts(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    dying = hsup.start()
    dying.wait_for("born$")
    dying.child.kill()
    dying.child.wait()
    beside = hsup.begin("run", f"echo beside; exec {hsup.sleep}")
    beside.wait_for("beside$")
    running = hsup.start()
    running.wait_for("Adopted a process")
    assert beside.stop() == 143
    assert running.stop() == 0


def test_two_processes_may_write_to_one_file_in_order(hsup: Hsup) -> None:
    hsup.call(
        "run",
        "for i in {1..50}; do echo $i; echo $i >&2; done",
        prefix=("sh", "-c", 'exec "$@" >both 2>&1', "sh"),
    )
    expected = "".join(f"{number}\n{number}\n" for number in range(1, 51))
    assert (hsup.directory / "both").read_text() == expected
