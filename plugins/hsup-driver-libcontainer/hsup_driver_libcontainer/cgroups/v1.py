"""Limits and counters of a dyno in cgroups of version 1.

See the kernel's Documentation/admin-guide/cgroup-v1. memory.use_hierarchy is not written,
as a cgroup inherits it: it is on if the parent has a limit, as a container has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

from hsup.api import Measurement
from hsup.sizes import Size
from hsup_driver_libcontainer.cgroups.files import Directories, View, counters, write

#: The kernel's defaults: cpu.shares of a new cgroup, microseconds of a period.
_SHARES = 1024
_PERIOD = 100_000

#: Empty in new cgroups, which then refuse processes. See the kernel's cgroup-v1/cpusets.rst.
_PROCESSORS = ("cpuset.cpus", "cpuset.mems")


class Version1:
    """A hierarchy for each controller."""

    #: Not cgroup.procs, which moves all threads: for that the kernel waits until no process
    #: can be forking any more, which takes 10 ms.
    join_file = "tasks"
    oom_counters = "memory.oom_control"
    threads_file = "tasks"

    def prepare(self, parent: str) -> None:
        """Let a cgroup have children with processes; controllers need not be enabled."""
        _inherit_processors(parent)

    def complete(self, directories: Directories) -> None:
        """Let processes into a dyno's cgroups."""
        if "cpuset" in directories:
            _inherit_processors(directories["cpuset"])

    def explain_complete(self, directories: Directories) -> Iterator[str]:
        """Yield the steps of `complete`, in words."""
        if "cpuset" in directories:
            yield f"give {directories['cpuset']} the processors of its parent"

    def limits_swap(self, directories: Directories) -> bool:
        """Tell whether the swap of a dyno can be limited."""
        return os.path.exists(f"{directories['memory']}/memory.memsw.limit_in_bytes")

    def will_limit_swap(self, parents: Directories) -> bool:
        """Tell whether the swap of new dynos can be limited."""
        return self.limits_swap(parents)

    def limits(
        self, directories: Directories, size: Size, *, limits_swap: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield the files to write, in this order, with what to write."""
        memory, cpu = directories["memory"], directories["cpu"]
        yield f"{memory}/memory.limit_in_bytes", str(size.memory)
        if limits_swap:
            yield f"{memory}/memory.memsw.limit_in_bytes", str(size.hard_limit)
        else:  # booted with swapaccount=0: swap cannot be limited, so dynos do not get any
            yield f"{memory}/memory.swappiness", "0"
        yield f"{directories['pids']}/pids.max", str(size.pids)
        yield f"{cpu}/cpu.shares", str(_SHARES * size.weight)
        if size.is_dedicated:
            yield f"{cpu}/cpu.cfs_quota_us", str(_PERIOD * size.cpus)

    def view(self, directories: Directories, size: Size) -> View:
        """Return a view of each hierarchy where distributions mount it."""
        del size
        return View(binds=tuple((directory, name) for name, directory in directories.items()))

    def out_of_memory_event(self, directories: Directories) -> int | None:
        """Return an eventfd that becomes readable when memory is used up; None if there is none.

        See section 10 of the kernel's cgroup-v1/memory.rst.
        """
        memory = directories["memory"]
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        with ExitStack() as undo:
            undo.callback(os.close, event)
            with open(f"{memory}/memory.oom_control", "rb", buffering=0) as control:
                try:
                    write(f"{memory}/cgroup.event_control", f"{event} {control.fileno()}")
                except FileNotFoundError:  # a kernel with PREEMPT_RT
                    return None
            undo.pop_all()
        return event

    def measured(self, directories: Directories) -> Measurement:
        """Return the memory that is used, and the time of the processors; see memory.rst there."""
        stat = counters(f"{directories['memory']}/memory.stat")
        used = directories.get("cpuacct")
        nanoseconds = None if used is None else int(_read(f"{used}/cpuacct.usage"))
        return Measurement(
            memory_rss=stat["rss"],
            memory_cache=stat["cache"],
            memory_swap=stat.get("swap"),
            memory_pgpgin=stat["pgpgin"],
            memory_pgpgout=stat["pgpgout"],
            cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
        )


def _inherit_processors(directory: str) -> None:
    """Copy the processors of the parent to a cgroup that has none, if it has that controller."""
    for name in _PROCESSORS:
        try:
            if not _read(f"{directory}/{name}"):
                write(f"{directory}/{name}", _read(f"{os.path.dirname(directory)}/{name}"))
        except FileNotFoundError:  # it has no cpuset controller
            return


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
