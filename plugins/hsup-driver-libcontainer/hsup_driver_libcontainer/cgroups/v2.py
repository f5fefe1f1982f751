"""Limits and counters of a dyno in a cgroup of version 2.

See the kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from hsup.api import Measurement
from hsup.sizes import Size
from hsup_driver_libcontainer.cgroups.files import Directories, View, counters, process_ids, write
from hsup_driver_libcontainer.cgroups.layout import CONTROLLERS, LEAF

#: The kernel's defaults: cpu.weight of a new cgroup, microseconds of a period.
_WEIGHT = 100
_PERIOD = 100_000

#: An empty cgroup of a dyno, on which a file of version 1 can be mounted.
_V1_MEMORY = "memory"


class Version2:
    """One hierarchy for all controllers."""

    join_file = "cgroup.procs"
    oom_counters = "memory.events"
    threads_file = "cgroup.threads"

    def prepare(self, parent: str) -> None:
        """Enable the controllers for a cgroup's children."""
        vacate(parent)
        write(f"{parent}/cgroup.subtree_control", " ".join(f"+{name}" for name in CONTROLLERS))

    def complete(self, directories: Directories) -> None:
        """Make the cgroup that `view` mounts a file on."""
        os.mkdir(f"{directories['memory']}/{_V1_MEMORY}")

    def explain_complete(self, directories: Directories) -> Iterator[str]:
        """Yield the steps of `complete`, in words."""
        yield f"make the cgroup {directories['memory']}/{_V1_MEMORY}"

    def limits_swap(self, directories: Directories) -> bool:
        """Tell whether the swap of a dyno can be limited: not if the kernel has no swap."""
        return os.path.exists(f"{directories['memory']}/memory.swap.max")

    def will_limit_swap(self, parents: Directories) -> bool:
        """Tell whether the swap of new dynos can be limited; the root cgroup has no such file."""
        return self.limits_swap(parents) or os.path.exists("/proc/swaps")

    def limits(
        self, directories: Directories, size: Size, *, limits_swap: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield the files to write, in this order, with what to write.

        With memory.oom.group, running out of memory kills the whole dyno.
        """
        directory = directories["memory"]
        yield f"{directory}/memory.max", str(size.memory)
        if limits_swap:
            yield f"{directory}/memory.swap.max", str(size.swap)
        yield f"{directory}/memory.oom.group", "1"
        yield f"{directory}/pids.max", str(size.pids)
        yield f"{directory}/cpu.weight", str(_WEIGHT * size.weight)
        if size.is_dedicated:
            yield f"{directory}/cpu.max", f"{_PERIOD * size.cpus} {_PERIOD}"

    def view(self, directories: Directories, size: Size) -> View:
        """Return a view of the hierarchy, and of the one file of version 1 that buildpacks read."""
        limit = (f"{_V1_MEMORY}/memory.limit_in_bytes", f"{size.memory}\n")
        return View(binds=((directories["memory"], ""),), files=(limit,))

    def out_of_memory_event(self, directories: Directories) -> int | None:
        """Return None: the kernel kills the whole dyno by itself."""
        del directories
        return None

    def measured(self, directories: Directories) -> Measurement:
        """Return the memory that is used, and the time of the processors.

        This version does not count the pages that a cgroup is charged with.
        """
        directory = directories["memory"]
        stat = counters(f"{directory}/memory.stat")
        microseconds = counters(f"{directory}/cpu.stat")["usage_usec"]
        return Measurement(
            memory_rss=stat["anon"],
            memory_cache=stat["file"],
            memory_swap=_swapped(directory),
            cpu_seconds=microseconds / 1e6,
        )


def _swapped(directory: str) -> int | None:
    """Return how many bytes of a cgroup are swapped out, None if the kernel has no swap."""
    try:
        with open(f"{directory}/memory.swap.current", encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return None


def vacate(directory: str) -> None:
    """Move the processes of a cgroup, of a container or a service, to a leaf below it.

    A cgroup whose children have limits must not have processes itself, except for the
    root cgroup, which alone has no file cgroup.type.
    """
    if not os.path.exists(f"{directory}/cgroup.type"):
        return
    leaf = f"{directory}/{LEAF}"
    while pids := process_ids(directory):
        os.makedirs(leaf, exist_ok=True)
        for pid in pids:
            try:
                write(f"{leaf}/cgroup.procs", str(pid))
            except ProcessLookupError:  # it has ended meanwhile
                pass
