"""Find where on this machine the cgroups of dynos go, and what it lacks for them.

Version 1 has a hierarchy for each controller, version 2 one for all. A machine
may mount both; what counts is where memory, pids and cpu are. See man 7 cgroups.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from hsup.api import Finding

CONTROLLERS = ("memory", "pids", "cpu")

#: Of version 1, where they are there. Nothing is limited by them, but HotSpot takes the machine's
#: memory for its own unless it sees all five (JDK 17, cgroupSubsystem_linux.cpp).
SHOWN_CONTROLLERS = ("cpuset", "cpuacct")

#: How mountinfo writes what would look like its own separators; the last one last.
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}

#: systemd sets this to 1 on a cgroup that a service may divide (Delegate=yes),
#: see https://systemd.io/CGROUP_DELEGATION
_DELEGATED = "trusted.delegate"

#: Where in version 2 the processes go that are in the way.
LEAF = "init"


class Layout(NamedTuple):
    """The folder, by controller, in which hsup makes its own.

    In version 2 it is the same for all of them. `shown` are those that limit nothing.
    """

    version: int
    parents: Mapping[str, str]
    shown: Mapping[str, str] = MappingProxyType({})

    @property
    def folders(self) -> tuple[str, ...]:
        """Return each folder once: two controllers of version 1 may share one."""
        return tuple(dict.fromkeys((*self.parents.values(), *self.shown.values())))


def survey(
    mountinfo: str, own_cgroup: str, *, is_container: bool = False
) -> tuple[Layout, Sequence[Finding]]:
    """Look at the machine without changing anything.

    Returns a layout that is usable if no finding has a remedy.
    `mountinfo` and `own_cgroup` are the texts of /proc/self/mountinfo and
    /proc/self/cgroup. What a container has goes with it, so that its dynos are to be
    below its own cgroup also where it sees the host's (docker run --cgroupns host).
    """
    v1 = _version_1(mountinfo)
    v2 = _version_2(mountinfo, own_cgroup, is_container=is_container)
    layout = max((v1, v2), key=lambda one: (len(one.parents), -one.version))
    if missing := tuple(_missing(layout)):
        return layout, missing
    return layout, (_writable(layout), _swap_limit(layout))


def _version_1(mountinfo: str) -> Layout:
    parents: dict[str, str] = {}
    for _, point, options in _mounts(mountinfo, "cgroup"):
        for name in options:
            parents.setdefault(name, point)
    return Layout(1, _those(CONTROLLERS, parents), _those(SHOWN_CONTROLLERS, parents))


def _those(names: Sequence[str], parents: Mapping[str, str]) -> Mapping[str, str]:
    return {name: parents[name] for name in names if name in parents}


def _version_2(mountinfo: str, own_cgroup: str, *, is_container: bool) -> Layout:
    for root, point, _ in _mounts(mountinfo, "cgroup2"):
        own = _own_folder(root, point, own_cgroup)
        parent = _delegated(point, own) or point
        if is_container and own.startswith(f"{point}/"):
            parent = own.removesuffix(f"/{LEAF}")
        available = _read(f"{parent}/cgroup.controllers").split()
        return Layout(2, {name: parent for name in CONTROLLERS if name in available})
    return Layout(2, {})


def _mounts(mountinfo: str, kind: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the mounts of a kind: the cgroup that each shows, where, and its options.

    See man 5 proc_pid_mountinfo. One that another mount hides is left out.
    """
    for line in mountinfo.splitlines():
        mount, _, file_system = line.partition(" - ")
        name, _, options = file_system.split(" ", 2)
        if name == kind:
            root, point = map(_unescaped, mount.split(" ")[3:5])
            if os.path.exists(f"{point}/cgroup.procs"):
                yield root, point, options.split(",")


def _unescaped(path: str) -> str:
    for written, character in _ESCAPES.items():
        path = path.replace(written, character)
    return path


def _own_folder(root: str, point: str, own_cgroup: str) -> str:
    own = next((line[3:] for line in own_cgroup.splitlines() if line.startswith("0::/")), "/")
    return os.path.normpath(f"{point}/{os.path.relpath(own, root)}")


def _delegated(point: str, own: str) -> str | None:
    """Return the cgroup that systemd left to hsup: its own, or its parent.

    It is the parent for DelegateSubgroup=, and where hsup was moved to a leaf.
    """
    for candidate in (own, os.path.dirname(own)):
        if candidate.startswith(f"{point}/") and _is_delegated(candidate):
            return candidate
    return None


def _is_delegated(folder: str) -> bool:
    try:
        return os.getxattr(folder, _DELEGATED) == b"1"
    except OSError:
        return False


def _missing(layout: Layout) -> Iterator[Finding]:
    for name in CONTROLLERS:
        if name not in layout.parents:
            text = f"the cgroup controller {name} is not available"
            yield Finding("cgroups", is_good=False, text=text, remedy=_remedy(name, layout))


def _remedy(name: str, layout: Layout) -> str:
    if layout.version == 1:
        point = f"/sys/fs/cgroup/{name}"
        return f"mount it: mkdir -p {point} && mount -t cgroup -o {name} cgroup {point}"
    return f"boot with cgroup_enable={name}, or delegate it to hsup (systemd: Delegate=yes)"


def _writable(layout: Layout) -> Finding:
    where = ", ".join(layout.folders)
    for folder in layout.folders:
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return Finding(
                "cgroups",
                is_good=False,
                text=f"{folder} is mounted read-only",
                remedy="start this container with --privileged --cgroupns=private",
            )
    return Finding("cgroups", is_good=True, text=f"version {layout.version}, in {where}")


def _swap_limit(layout: Layout) -> Finding:
    """Tell whether swap can be limited; dynos run without it too."""
    subject = "limit of swap"
    v1_file = f"{layout.parents['memory']}/memory.memsw.limit_in_bytes"
    if layout.version == 1 and not os.path.exists(v1_file):
        text = "the kernel has none, so dynos get no swap; boot with swapaccount=1 to have one"
        return Finding(subject, is_good=False, text=text)
    return Finding(subject, is_good=True, text="memory and swap are both limited")


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""
