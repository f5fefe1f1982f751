"""Limits and counters of a dyno in a cgroup of version 2.

See the kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from hsup.sizes import Size
from hsup_driver_libcontainer.cgroups.files import Folders, View, counters, process_ids, write
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

    def prepare(self, parent: str) -> None:
        """Enable the controllers for a cgroup's children."""
        vacate(parent)
        write(f"{parent}/cgroup.subtree_control", " ".join(f"+{name}" for name in CONTROLLERS))

    def complete(self, folders: Folders) -> None:
        """Make the cgroup that `view` mounts a file on."""
        os.mkdir(f"{folders['memory']}/{_V1_MEMORY}")

    def explain_complete(self, folders: Folders) -> Iterator[str]:
        """Yield the steps of `complete`, in words."""
        yield f"make the cgroup {folders['memory']}/{_V1_MEMORY}"

    def limits_swap(self, folders: Folders) -> bool:
        """Tell whether the swap of a dyno can be limited: not if the kernel has no swap."""
        return os.path.exists(f"{folders['memory']}/memory.swap.max")

    def will_limit_swap(self, parents: Folders) -> bool:
        """Tell whether the swap of new dynos can be limited; the root cgroup has no such file."""
        return self.limits_swap(parents) or os.path.exists("/proc/swaps")

    def limits(
        self, folders: Folders, size: Size, *, limits_swap: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield the files to write, in this order, with what to write.

        With memory.oom.group, running out of memory kills the whole dyno.
        """
        folder = folders["memory"]
        yield f"{folder}/memory.max", str(size.memory)
        if limits_swap:
            yield f"{folder}/memory.swap.max", str(size.swap)
        yield f"{folder}/memory.oom.group", "1"
        yield f"{folder}/pids.max", str(size.pids)
        yield f"{folder}/cpu.weight", str(_WEIGHT * size.weight)
        if size.is_dedicated:
            yield f"{folder}/cpu.max", f"{_PERIOD * size.cpus} {_PERIOD}"

    def view(self, folders: Folders, size: Size) -> View:
        """Return a view of the hierarchy, and of the one file of version 1 that buildpacks read."""
        limit = (f"{_V1_MEMORY}/memory.limit_in_bytes", f"{size.memory}\n")
        return View(binds=((folders["memory"], ""),), files=(limit,))

    def out_of_memory_event(self, folders: Folders) -> int | None:
        """Return None: the kernel kills the whole dyno by itself."""
        del folders
        return None

    def memory_used(self, folders: Folders) -> dict[str, int]:
        """Return the bytes of `rss`, `cache` and `swap`."""
        folder = folders["memory"]
        stat = counters(f"{folder}/memory.stat")
        swap = 0
        if os.path.exists(f"{folder}/memory.swap.current"):
            with open(f"{folder}/memory.swap.current", encoding="ascii") as file:
                swap = int(file.read())
        return {"rss": stat["anon"], "cache": stat["file"], "swap": swap}


def vacate(folder: str) -> None:
    """Move the processes of a cgroup, of a container or a service, to a leaf below it.

    A cgroup whose children have limits must not have processes itself, except for the
    root cgroup, which alone has no file cgroup.type.
    """
    if not os.path.exists(f"{folder}/cgroup.type"):
        return
    leaf = f"{folder}/{LEAF}"
    while pids := process_ids(folder):
        os.makedirs(leaf, exist_ok=True)
        for pid in pids:
            try:
                write(f"{leaf}/cgroup.procs", str(pid))
            except ProcessLookupError:  # it has ended meanwhile
                pass
