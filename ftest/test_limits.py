"""Memory, processors and processes by the size of a dyno, and what it is told of them."""

from __future__ import annotations

import os

import pytest

from ftest.program import Hsup

pytestmark = pytest.mark.containers_only("the simple driver limits nothing")

MIB = 1 << 20
LIMITS = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; nproc"
CPUS = len(os.sched_getaffinity(0))

#: Takes memory until it is refused, which for a program of a dyno is not what happens.
GREEDY = "python3 -c 'x = [bytearray(1 << 20) for _ in range(4096)]'"


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


@pytest.mark.parametrize(
    ("size", "memory", "cpus"),
    [
        ("eco", 512 * MIB, 8),
        ("standard-1x", 512 * MIB, 8),
        ("Standard-2X", 1024 * MIB, 8),
        ("performance-m", 2560 * MIB, 2),
        ("private-s", 1024 * MIB, 2),
    ],
)
def test_a_dyno_is_told_the_memory_and_processors_of_its_size(
    hsup: Hsup, size: str, memory: int, cpus: int
) -> None:
    hsup.procfile(web=LIMITS)
    done = hsup.call("start", "--oneshot", f"web=1:{size}")
    assert f"app[web.1]: {memory}\n" in done.text
    assert f"app[web.1]: {min(cpus, CPUS)}\n" in done.text


def test_the_size_of_a_dyno_that_was_given_none_is_the_smallest(hsup: Hsup) -> None:
    assert hsup.call("run", LIMITS).text == f"{512 * MIB}\n{min(8, CPUS)}\n"


def test_an_unknown_size_is_an_error_that_lists_the_known(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    done = hsup.call("start", "--oneshot", "web=1:huge")
    said = done.text + done.message
    assert done.status != 0
    assert "huge" in said
    assert "standard-2x" in said
    assert "Traceback" not in said


def test_a_dyno_that_takes_too_much_memory_is_killed_and_that_is_told(hsup: Hsup) -> None:
    hsup.procfile(one=GREEDY)
    done = hsup.call("start", "--oneshot")
    assert done.status == 137
    assert "Process exited with status 137" in done.text
    assert "Error R15 (Memory quota vastly exceeded)" in done.text


def test_a_run_that_takes_too_much_memory_is_killed_and_that_is_told(hsup: Hsup) -> None:
    done = hsup.call("run", GREEDY)
    assert done.status == 137
    assert "memory" in done.message


def test_the_greed_of_one_dyno_does_not_disturb_another(hsup: Hsup) -> None:
    hsup.procfile(good=hsup.born, bad=GREEDY)
    running = hsup.start()
    running.wait_for(r"heroku\[bad\.1\]: Process exited with status 137")
    assert running.stop() == 0
    assert running.count("good.*born$") == 1


def test_a_dyno_can_have_as_many_processes_as_its_size_allows_and_no_more(hsup: Hsup) -> None:
    line = "for i in $(seq 400); do sleep 100 & done 2>&1 | grep -m1 -i resource; jobs -p | wc -l"
    done = hsup.call("run", line, timeout=60)
    assert "Resource temporarily unavailable" in done.text + done.message


def test_a_fork_bomb_ends_with_its_dyno(hsup: Hsup) -> None:
    hsup.procfile(one="echo ready; bomb() { bomb | bomb & }; bomb 2>/dev/null; wait")
    running = hsup.start("--grace", "0.5")
    running.wait_for("ready$")
    running.stop()
    assert hsup.processes() == {}


def test_files_in_memory_count_as_memory(hsup: Hsup) -> None:
    line = "head -c 3G /dev/zero > /dev/shm/x; echo status $?"
    done = hsup.call("run", line, timeout=60)
    assert done.status == 137 or "No space left" in done.message


def test_as_many_files_can_be_opened_as_on_the_platform(hsup: Hsup) -> None:
    assert hsup.call("run", "ulimit -n; ulimit -c").text == "10000\n0\n"


@pytest.mark.parametrize(("size", "mib"), [("standard-1x", 256), ("standard-2x", 512)])
def test_half_of_the_memory_may_be_files_in_memory(hsup: Hsup, size: str, mib: int) -> None:
    line = "df --block-size=1M --output=size /dev/shm | tail -n 1"
    assert int(hsup.call("run", "--size", size, line).text) == mib
