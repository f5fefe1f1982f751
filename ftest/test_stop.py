"""How `hsup start` stops its dynos and itself, and what signals tell it."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from ftest.program import PATIENCE, WAIT_SECONDS, Hsup, eventually, process


def stubborn(hsup: Hsup) -> str:
    """Return a line whose every process ignores SIGTERM."""
    return f"trap '' TERM INT; echo ready; {hsup.sleep}"


def test_sigterm_stops_all_and_ends_with_zero(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born, two=hsup.born)
    running = hsup.start()
    running.wait_for("born$", count=2)
    assert running.stop(signal.SIGTERM) == 0
    for dyno in ("one.1", "two.1"):
        assert f"heroku[{dyno}]: Stopping all processes with SIGTERM\n" in running.out
        assert f"heroku[{dyno}]: Process exited with status 143\n" in running.out


def test_sigint_stops_all_and_ends_with_130(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    assert running.stop(signal.SIGINT) == 130
    assert "heroku[one.1]: Process exited with status 143\n" in running.out
    assert "Traceback" not in running.err


def test_a_dyno_that_ignores_sigterm_is_killed_after_the_grace(hsup: Hsup) -> None:
    hsup.procfile(one=stubborn(hsup))
    running = hsup.start("--grace", "1")
    running.wait_for("ready$")
    before = time.monotonic()
    assert running.stop() == 1
    assert 0.9 < time.monotonic() - before < WAIT_SECONDS
    assert "heroku[one.1]: Process exited with status 137\n" in running.out


def test_dynos_are_stopped_side_by_side(hsup: Hsup) -> None:
    hsup.procfile(one=stubborn(hsup))
    grace = 2.0
    running = hsup.start("--grace", f"{grace}", "one=8")
    running.wait_for("ready$", count=8)
    assert running.stop() == 1
    told = running.times("Stopping all processes with SIGTERM")
    exited = running.times("Process exited with status 137")
    assert len(told) == len(exited) == 8
    assert max(told) < min(exited)
    assert max(exited) - min(exited) < 4 * grace  # else each one waits for the one before


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGTERM, signal.SIGINT, 130),
    ],
)
def test_a_second_signal_stops_now(
    hsup: Hsup, first: signal.Signals, second: signal.Signals, status: int
) -> None:
    hsup.procfile(one=stubborn(hsup))
    running = hsup.start()
    running.wait_for("ready$")
    running.send(first)
    running.wait_for("Stopping all processes with SIGTERM")
    time.sleep(0.6)  # two within 0.5 s are one
    before = time.monotonic()
    assert running.stop(second) == status
    assert time.monotonic() - before < WAIT_SECONDS


def test_a_dyno_has_time_to_end_in_order(hsup: Hsup) -> None:
    hsup.procfile(
        one=f"trap 'sleep 0.3; echo tidied; exit 0' TERM; {hsup.sleep} & echo ready; wait"
    )
    running = hsup.start()
    running.wait_for("ready$")
    hsup.sleepers()  # else bash may lose the signal between fork and exec
    assert running.stop() == 0
    assert "app[one.1]: tidied\n" in running.out
    assert running.out.index("tidied") < running.out.index("Process exited with status 0")


def test_a_config_var_path_does_not_take_the_grace_away(hsup: Hsup) -> None:
    """What ends the dyno's processes finds its programs wherever the dyno does."""
    tidying = "trap '/bin/sleep 1; echo tidied; exit 0' TERM; echo ready; while :; do wait; done"
    line = f"({hsup.sleep.replace('sleep', '/bin/sleep')} & {tidying}) & trap 'exit 0' TERM; wait"
    hsup.release(Env={"PATH": "/nowhere"}, Processes=[process("one", line)])
    running = hsup.start()
    running.wait_for("ready$")
    assert running.stop() == 0
    assert "app[one.1]: tidied\n" in running.out


HIDING = {
    "a background job": "{sleep} &",
    "a session of its own": "setsid {sleep} &",
    "an orphan": "(({sleep} &) &)",
    "an orphan in a session": "(setsid setsid {sleep} &)",
    "an empty environment": "env -i setsid {sleep} &",
    "closed streams": "setsid {sleep} </dev/null >/dev/null 2>&1 &",
    "a daemon": "(env -i setsid -f {sleep} </dev/null >/dev/null 2>&1)",
    "another directory": "(cd / && env -i setsid -f {sleep} </dev/null >/dev/null 2>&1)",
    "deaf to SIGTERM": "(trap '' TERM; env -i setsid -f {sleep} </dev/null >/dev/null 2>&1)",
}


@pytest.mark.parametrize("how", HIDING)
def test_a_grandchild_is_gone_after_the_stop(hsup: Hsup, how: str) -> None:
    hidden = HIDING[how].format(sleep=hsup.sleep)
    hsup.release(Processes=[process("one", f"{hidden}\necho ready; exec {hsup.sleep}")])
    running = hsup.start("--grace", "0.5")
    running.wait_for("ready$")
    running.stop()
    assert hsup.processes() == {}


@pytest.mark.parametrize("how", HIDING)
def test_a_grandchild_is_gone_after_the_dyno_has_ended_by_itself(hsup: Hsup, how: str) -> None:
    hidden = HIDING[how].format(sleep=hsup.sleep)
    hsup.release(Processes=[process("one", f"{hidden}\necho over")])
    done = hsup.call("--grace", "0.5", "start", "--oneshot")
    assert "app[one.1]: over\n" in done.text
    assert hsup.processes() == {}


def test_sigterm_reaches_every_process_of_a_dyno(hsup: Hsup) -> None:
    deep = f"(trap 'echo deep told; exit' TERM; {hsup.sleep} & echo deep ready; wait) & "
    hsup.procfile(one=f"{deep} trap 'wait; exit 0' TERM; wait")
    running = hsup.start()
    running.wait_for("deep ready$")
    hsup.sleepers()
    assert running.stop() == 0
    assert "app[one.1]: deep told\n" in running.out


def test_hsup_can_be_stopped_while_a_dyno_waits_for_its_restart(hsup: Hsup) -> None:
    hsup.procfile(one="exit 3")
    running = hsup.start()
    running.wait_for("State changed from up to crashed", count=4)
    assert running.stop() == 0
    assert running.count("Starting process") == 4


def test_dynos_that_end_at_the_moment_of_the_stop_are_not_started_again(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start("one=8")
    running.wait_for("born$", count=8)
    dynos = hsup.sleepers(8)
    running.send(signal.SIGSTOP)  # so that it is told of all at once
    for pid in dynos:
        os.kill(pid, signal.SIGKILL)
    running.send(signal.SIGTERM)
    running.send(signal.SIGCONT)
    assert running.ended() == 0
    assert running.count("born$") == 8


@pytest.mark.parametrize("module", ["click", "asyncio", "hsup.supervision.supervisor"])
def test_an_interrupt_while_hsup_itself_starts_ends_it_quietly(hsup: Hsup, module: str) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.begin("start", env={"PYTHONPROFILEIMPORTTIME": "1"})
    running.wait_for(rf"\| +{module}$")
    assert running.stop(signal.SIGINT) == 130
    assert "Traceback" not in running.err
    assert "Aborted" not in running.err


def test_hsup_can_be_stopped_while_it_starts_dynos(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start("one=20")
    running.wait_for("Starting process with command")
    assert running.stop() in {0, 1}
    assert hsup.processes() == {}


def test_sigusr1_prints_a_diagnostic_log(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    quiet = running.err
    running.send(signal.SIGUSR1)
    running.wait_for(r"one\.1")
    assert running.child.poll() is None
    assert running.stop() == 0
    assert len(running.err) > len(quiet)


def test_sighup_disturbs_no_dyno(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    running.send(signal.SIGHUP)
    hsup.procfile(one=hsup.born, two=hsup.born)
    running.wait_for(r"app\[two\.1\]: born$")
    assert running.stop() == 0
    assert running.count("born$") == 2


def test_a_release_stops_the_old_dyno_before_the_new_one_starts(hsup: Hsup) -> None:
    slow = "trap 'sleep 0.2; echo old gone; exit' TERM; {0} & echo old; wait"
    hsup.procfile(one=slow.format(hsup.sleep))
    running = hsup.start()
    running.wait_for("old$")
    hsup.procfile(one=f"echo fresh; exec {hsup.sleep}")
    running.wait_for("fresh$")
    assert running.out.index("old gone") < running.out.index("fresh\n")


def test_hsup_can_be_stopped_while_nobody_reads_what_it_prints_and_logs(hsup: Hsup) -> None:
    hsup.procfile(one="while :; do echo a line; done", two="exit 1")
    reading, writing = os.pipe()
    try:
        words = hsup.words("--verbose", "--grace", "1", "start")
        child = subprocess.Popen(
            words, stdout=writing, stderr=writing, cwd=hsup.directory, env=hsup.environ
        )
        assert eventually(lambda: not select.select([], [writing], [], 0)[1])
        for _ in range(3):
            child.send_signal(signal.SIGUSR1)  # prints what was logged
        child.send_signal(signal.SIGTERM)
        assert child.wait(WAIT_SECONDS * PATIENCE) in (0, 1)
    finally:
        child.kill()
        os.close(reading)
        os.close(writing)


#: Bash ends without its trap where what it waits for ends at the same moment.
READY = "echo ready; while :; do wait; done"


def test_a_signal_that_is_sent_twice_at_once_is_one(hsup: Hsup) -> None:
    """As `timeout` sends one to the process, and one to its group."""
    hsup.procfile(one=f"trap 'sleep 1; echo tidied; exit 0' TERM; {hsup.sleep} & {READY}")
    running = hsup.start()
    running.wait_for("ready$")
    hsup.sleepers()
    running.send(signal.SIGTERM)
    running.send(signal.SIGTERM)
    assert running.ended() == 0
    assert "app[one.1]: tidied\n" in running.out


def test_sigquit_stops_now(hsup: Hsup) -> None:
    hsup.procfile(one=stubborn(hsup))
    running = hsup.start()
    running.wait_for("ready$")
    before = time.monotonic()
    assert running.stop(signal.SIGQUIT) == 128 + signal.SIGQUIT
    assert time.monotonic() - before < WAIT_SECONDS
    assert hsup.processes() == {}


def test_what_means_nothing_to_hsup_ends_nothing(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    meaningless = (
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGVTALRM,
        signal.SIGPROF,
        signal.SIGIO,
        signal.SIGSTKFLT,
        signal.SIGPIPE,
        signal.SIGRTMIN + 1,
    )
    for number in meaningless:
        running.send(number)
    running.wait_for("hsup: ignored SIGUSR2$")
    running.wait_for("hsup: ignored SIGALRM$")
    assert running.stop() == 0
    assert running.count("born$") == 1


@pytest.mark.parametrize("number", [signal.SIGXCPU, signal.SIGPWR])
def test_what_the_system_warns_with_stops_in_order(hsup: Hsup, number: signal.Signals) -> None:
    hsup.procfile(one=f"trap 'echo tidied; exit 0' TERM; {hsup.sleep} & {READY}")
    running = hsup.start()
    running.wait_for("ready$")
    hsup.sleepers()
    running.send(number)
    running.send(number)
    assert running.ended() == 128 + number
    assert "app[one.1]: tidied\n" in running.out


#: 32 and 33 are the C library's own, which posix_spawn has ignored.
RESERVED = 1 << 31 | 1 << 32

#: Calls hsup as a program does that blocks and ignores what it can.
BLOCKING = """
import os, signal, sys
everything = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
signal.pthread_sigmask(signal.SIG_BLOCK, everything)
for number in (signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGIO):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_what_the_caller_blocks_and_ignores_is_not_for_hsup_and_its_dynos(hsup: Hsup) -> None:
    hsup.procfile(one=f"grep -E '^Sig(Blk|Ign)' /proc/self/status; echo born; exec {hsup.sleep}")
    prefix = (sys.executable, "-c", BLOCKING)
    running = hsup.begin("start", prefix=prefix)
    running.wait_for("born$")
    assert running.stop() == 0
    done = hsup.call("run", "grep -E '^Sig(Blk|Ign)' /proc/self/status", prefix=prefix)
    for said in (running.out, done.text):
        assert said.count("SigBlk:\t0000000000000000") == 1
        (ignored,) = re.findall(r"SigIgn:\t([0-9a-f]+)", said)
        assert int(ignored, 16) & ~RESERVED == 0
