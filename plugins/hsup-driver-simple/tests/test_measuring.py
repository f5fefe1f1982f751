"""Processes are measured together, and what they share is counted once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from hsup_driver_simple import measuring
from hsup_driver_simple.measuring import byte_lines, measured, memory_of

MIB = 1 << 20
#: Holds memory, which its children share, and says which they are.
SHARE = f"""
import os, signal
held = b"x" * {32 * MIB}
for _ in range(3):
    if not (child := os.fork()):
        signal.pause()
    print(child, flush=True)
signal.pause()
"""
SPIN = """
import threading
def spin():
    while True:
        pass
threads = [threading.Thread(target=spin) for _ in range(2)]
for one in threads:
    one.start()
print("spins", flush=True)
"""
ROLLUP = """\
55ec5ca49000-7ffd43183000 ---p 00000000 00:00 0                          [rollup]
Rss:                1724 kB
Pss:                 346 kB
Pss_Anon:            112 kB
SwapPss:              12 kB
"""
STATUS = """\
Name:\tsome kB
VmPeak:\t  224820 kB
VmRSS:\t   51984 kB
VmSwap:\t       4 kB
Threads:\t1
"""

Start = Callable[[str], "subprocess.Popen[str]"]


def kill_all(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as ends:

        def start(code: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", code]
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
            ends.enter_context(child)
            ends.callback(kill_all, child.pid)
            return child

        yield start


def test_pages_that_processes_share_are_counted_once(start: Start) -> None:
    child = start(SHARE)
    assert child.stdout
    pids = [child.pid, *(int(child.stdout.readline()) for _ in range(3))]
    together = measured(pids).memory_rss
    assert together is not None
    assert 32 * MIB <= together < 2 * 32 * MIB
    alone = memory_of(child.pid).resident
    assert alone < together / 2  # a fourth of what they share


def test_threads_that_run_are_counted(start: Start) -> None:
    child = start(SPIN)
    assert child.stdout
    assert child.stdout.readline() == "spins\n"
    counted = 0
    while not counted:  # they wait for one another between two turns
        counted = measured([child.pid]).runnable or 0
    assert 1 <= counted <= 3
    assert (measured([child.pid]).cpu_seconds or 0) > 0


def test_one_that_only_waits_does_not_count(start: Start) -> None:
    child = start("print('here', flush=True); import signal; signal.pause()")
    assert child.stdout
    child.stdout.readline()
    while measured([child.pid]).runnable:
        pass  # until it pauses
    assert measured([child.pid]).runnable == 0


def test_processes_that_have_ended_are_left_out(start: Start) -> None:
    child = start("pass")
    child.wait()
    nothing = measured([child.pid])
    assert (nothing.memory_rss, nothing.memory_swap, nothing.runnable) == (0, 0, 0)


def test_a_zombie_has_no_memory() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert memory_of(child) == (0, 0)
    assert measured([child]).memory_rss == 0
    os.waitpid(child, 0)


def test_what_only_cgroups_count_is_not_known() -> None:
    mine = measured([os.getpid()])
    assert mine.memory_rss
    assert mine.memory_rss > MIB
    unknown = (mine.memory_cache, mine.memory_pgpgin, mine.memory_pgpgout, mine.memory_quota)
    assert unknown == (None,) * 4


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (ROLLUP, {"Rss": 1724, "Pss": 346, "Pss_Anon": 112, "SwapPss": 12}),
        (STATUS, {"VmPeak": 224820, "VmRSS": 51984, "VmSwap": 4}),
    ],
    ids=["smaps_rollup", "status"],
)
def test_the_lines_of_the_kernel_are_read_as_bytes(text: str, lines: dict[str, int]) -> None:
    expected = {name: kilobytes * 1024 for name, kilobytes in lines.items()}
    assert byte_lines(text.splitlines()) == expected


def test_one_whose_pages_may_not_be_read_is_measured_by_its_status() -> None:
    """Root may read those of any process: a child that is another user looks at the test."""
    if os.geteuid() != 0:
        pytest.skip("only root can have a process of another user")
    child = os.fork()
    if not child:
        try:
            os.setuid(65534)
            os._exit(0 if memory_of(os.getppid()).resident > MIB else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_is_measured_by_its_status_where_the_kernel_has_nothing_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, by_status = measuring._MEMORY_FILES  # noqa: SLF001 - as without the file
    monkeypatch.setattr(measuring, "_MEMORY_FILES", (("no_such_file", "Pss", "Pss"), by_status))
    assert memory_of(os.getpid()).resident > MIB
