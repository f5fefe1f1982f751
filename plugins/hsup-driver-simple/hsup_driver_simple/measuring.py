"""Measure processes: their memory, the time that they have used, and whether they could run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from hsup.api import Measurement
from hsup_driver_simple.mark import stat_of

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

#: The states of threads that the kernel counts for the load: running or able to, and in an
#: uninterruptible sleep, mostly for a disk (kernel/sched/loadavg.c).
_COUNTED_STATES = frozenset("RD")
#: Fields of /proc/PID/stat, counted from the state on (man 5 proc_pid_stat): the ticks of the
#: process, then those of its children that it has waited for; and the number of its threads.
_TICKS, _THREADS = slice(11, 15), 17

#: The lines of a process's resident memory and of its swapped-out memory. Of pages that several
#: processes share, as after a fork, each has its part in the first file (man 5 proc_pid_smaps).
#: Whoever may not read that, as with a set-id program, may read the second one, and not every
#: kernel has the first (CONFIG_PROC_PAGE_MONITOR).
_MEMORY_FILES = (("smaps_rollup", "Pss", "SwapPss"), ("status", "VmRSS", "VmSwap"))


class Memory(NamedTuple):
    """The bytes of a process that are resident, and those that are swapped out."""

    resident: int = 0
    swapped: int = 0


def measured(pids: Iterable[int]) -> Measurement:
    """Return what processes use together; those that end meanwhile are left out.

    What the kernel caches, and counts of pages, are known of cgroups only. A process that ended
    counts with its time if its parent has waited for it.
    """
    resident = swapped = ticks = runnable = 0
    for pid in pids:
        if not (fields := stat_of(pid)):
            continue
        memory = memory_of(pid)
        resident += memory.resident
        swapped += memory.swapped
        ticks += sum(map(int, fields[_TICKS]))
        runnable += _counted_threads(pid) if int(fields[_THREADS]) > 1 else _counts(fields)
    return Measurement(
        memory_rss=resident,
        memory_swap=swapped,
        cpu_seconds=ticks / _TICKS_A_SECOND,
        runnable=runnable,
    )


def memory_of(pid: int) -> Memory:
    """Return the memory of a process, nothing if it has ended. Raises OSError for lack of files."""
    for name, resident, swapped in _MEMORY_FILES:
        try:
            with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
                lines = byte_lines(file)
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue
        return Memory(lines.get(resident, 0), lines.get(swapped, 0))
    return Memory()


def byte_lines(lines: Iterable[str]) -> Mapping[str, int]:
    """Return the lines such as `Pss:   346 kB`, in bytes."""
    found: dict[str, int] = {}
    for line in lines:
        words = line.split()
        if words[2:] == ["kB"] and words[1].isdecimal():  # a process may be called "some kB"
            found[words[0].rstrip(":")] = int(words[1]) * 1024
    return found


def _counted_threads(pid: int) -> int:
    """Return how many threads of a process count for the load."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        return sum(_counts(stat_of(pid, int(thread))) for thread in os.listdir(f"/proc/{pid}/task"))
    return 0


def _counts(fields: list[str]) -> bool:
    return bool(fields) and fields[0] in _COUNTED_STATES
