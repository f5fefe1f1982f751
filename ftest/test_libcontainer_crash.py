"""What a killed hsup leaves: nothing, whenever it was killed and however many there were."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from ftest import leftovers
from ftest.program import PATIENCE, Hsup, Running, eventually

SAY = r"app\[one\.\d+\]: (\d+) ([\d.]+)$"


def kill(running: Running) -> None:
    running.child.kill()
    running.child.wait()


def test_the_dynos_of_a_killed_hsup_are_gone_within_a_second(hsup: Hsup) -> None:
    hsup.procfile(one=f"trap '' TERM HUP; setsid {hsup.sleep} & echo born; {hsup.sleep}")
    running = hsup.start("one=5")
    running.wait_for("born$", count=5)
    kill(running)
    assert eventually(lambda: not hsup.processes(), 1.0), hsup.processes()
    clean_up(hsup)


def test_the_program_of_a_killed_run_is_gone_within_a_second(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    running = hsup.begin("run", f"echo born; {hsup.sleep}")
    running.wait_for("born$")
    kill(running)
    assert eventually(lambda: not hsup.processes(), 1.0), hsup.processes()
    clean_up(hsup)


def clean_up(hsup: Hsup) -> None:
    """Start the next hsup, which removes what the killed ones have left."""
    hsup.procfile(one="true")
    assert hsup.call("start", "--oneshot").status == 0


def test_the_next_start_removes_what_is_left(hsup: Hsup) -> None:
    before = leftovers.taken()
    hsup.procfile(one=hsup.born)
    running = hsup.start("one=5")
    running.wait_for("born$", count=5)
    kill(running)
    clean_up(hsup)
    assert not leftovers.since(before)


def test_the_next_start_leaves_what_belongs_to_a_living_hsup(
    hsup: Hsup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = hsup.another(tmp_path_factory.mktemp("other"))
    for one in (hsup, other):
        one.procfile(one=one.born)
    living, dying = hsup.start("one=3"), other.start("one=3")
    for running in (living, dying):
        running.wait_for("born$", count=3)
    address = hsup.address("one.1")
    kill(dying)
    dying.close()
    clean_up(other)
    assert hsup.address("one.1") == address
    assert living.stop() == 0
    assert living.count("born$") == 3


def test_a_hundred_kills_at_random_moments_leave_nothing(hsup: Hsup) -> None:
    """Four at a time, within twice the time that they take to start a dyno on this machine."""
    before = leftovers.taken()
    hsup.procfile(one=hsup.born)
    seed = random.randrange(1 << 32)
    delays = random.Random(seed)
    usual = seconds_until_born(hsup)
    for _ in range(25):
        started = time.monotonic()
        moments = sorted(started + delays.uniform(0, 2 * usual) for _ in range(4))
        for running, moment in zip([hsup.start("one=3") for _ in moments], moments, strict=True):
            time.sleep(max(0.0, moment - time.monotonic()))  # the moment is the case
            kill(running)
    assert eventually(lambda: not hsup.processes(), 1.0), f"seed {seed}: {hsup.processes()}"
    clean_up(hsup)
    assert not leftovers.since(before), f"seed {seed}"
    assert sum(running.count("born$") for running in hsup.started) > 10


def seconds_until_born(hsup: Hsup) -> float:
    """Start four hsups, kill them, and tell how long the slowest took to have a dyno that runs."""
    started = time.monotonic()
    four = [hsup.start("one=3") for _ in range(4)]
    for running in four:
        running.wait_for("born$")
    seconds = time.monotonic() - started
    for running in four:
        kill(running)
    return seconds


def test_signals_at_random_moments_of_a_run_leave_nothing(hsup: Hsup) -> None:
    before = leftovers.taken()
    hsup.procfile(one="true")
    seed = random.randrange(1 << 32)
    delays = random.Random(seed)
    for number in (signal.SIGTERM, signal.SIGINT) * 15:
        running = hsup.begin("run", "sleep 0.05")
        time.sleep(delays.uniform(0, 0.3 * PATIENCE))  # the moment is the case
        running.send(number)
        running.ended()
    assert hsup.processes() == {}
    assert not leftovers.since(before), f"seed {seed}"


def test_eight_hsups_start_fifty_dynos_each_at_once(hsup: Hsup) -> None:
    hsup.procfile(one=f"echo $(id -u) $(hostname -I); exec {hsup.sleep}")
    running = [hsup.start("one=50") for _ in range(8)]
    for each in running:
        each.wait_for(SAY, count=50, timeout=60)
    said = [found for each in running for found in re.findall(SAY, each.said, re.MULTILINE)]
    uids, addresses = zip(*said, strict=True)
    assert len(set(uids)) == len(set(addresses)) == 400
    for each in running:
        each.send(15)
    assert [each.ended(timeout=60) for each in running] == [0] * 8
    assert hsup.processes() == {}


@pytest.mark.parametrize("word", ["run", "start"])
def test_two_hsups_at_once_have_users_and_addresses_of_their_own(hsup: Hsup, word: str) -> None:
    line = f"echo $(id -u) $(hostname -I); exec {hsup.sleep}"
    hsup.procfile(one=line)
    running = [hsup.begin(*(("run", line) if word == "run" else ("start",))) for _ in range(2)]
    said = [each.wait_for(r"\d+ [\d.]+ ?$")[0].split() for each in running]
    assert said[0][0] != said[1][0]
    assert said[0][1] != said[1][1]


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_zygote_that_does_not_answer_is_replaced(hsup: Hsup, number: signal.Signals) -> None:
    """The process that dynos are forked from, which nobody but hsup has to do with."""
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    os.kill(zygote_of(running), number)
    for count in (2, 3, 4):
        os.kill(hsup.sleepers().pop(), signal.SIGKILL)
        running.wait_for("born$", count=count)
    assert running.stop() == 0


def test_hsup_ends_though_its_zygote_is_stopped(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    os.kill(zygote_of(running), signal.SIGSTOP)
    assert running.stop() == 0


def test_a_dyno_that_is_stopped_while_it_starts_is_started_again(hsup: Hsup) -> None:
    """Of the dyno that is kept ready, the process that is to become the program."""
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    program = hsup.sleepers().pop()
    # Before it has joined its cgroups, hsup may not know it yet, and looks for it later.
    assert eventually(lambda: (spare := spare_of(running, program)) and has_joined(spare))
    spare = spare_of(running, program)
    assert spare
    os.kill(spare, signal.SIGSTOP)
    os.kill(program, signal.SIGKILL)
    running.wait_for("stopped for")
    running.wait_for("born$", count=2)
    assert running.stop() == 0


def test_a_stopped_zygote_of_a_killed_hsup_is_ended_by_the_next(hsup: Hsup) -> None:
    before = leftovers.taken()
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    zygote = zygote_of(running)
    os.kill(zygote, signal.SIGSTOP)
    kill(running)
    clean_up(hsup)
    assert not is_alive(zygote)
    assert not leftovers.since(before)


def is_alive(pid: int) -> bool:
    """Tell whether a process has not ended, whoever its parent is and whether that knows."""
    status = read(pid, "stat")
    return bool(status) and ") Z" not in status


def zygote_of(running: Running) -> int:
    (zygote,) = [
        one for one in children_of(running.child.pid) if "hsup-zygote" in read(one, "comm")
    ]
    return zygote


def spare_of(running: Running, program: int) -> int | None:
    """Return the builder of the dyno that is ready, None while there is none."""
    firsts = children_of(zygote_of(running))
    builders = [builder for first in firsts for builder in children_of(first)]
    return next((one for one in builders if one != program), None)


def has_joined(pid: int) -> bool:
    return "/hsup-" in read(pid, "cgroup")


def children_of(pid: int) -> list[int]:
    return [*map(int, read(pid, f"task/{pid}/children").split())]


def read(pid: int, name: str) -> str:
    """Return what a file of /proc says of a process, nothing if that has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
