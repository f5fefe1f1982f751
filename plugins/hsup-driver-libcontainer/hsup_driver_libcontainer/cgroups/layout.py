"""Find where to make the cgroups of dynos, and what this machine lacks for them.

Version 1 has a hierarchy for each controller, version 2 has one for all. A machine may
mount both; the one that has memory, pids and cpu is used. See man 7 cgroups.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from hsup.api import Finding

CONTROLLERS = ("memory", "pids", "cpu")

#: Of version 1, if the machine has them. They limit nothing, but HotSpot assumes that it has the
#: whole machine's memory unless it sees all five (JDK 17, cgroupSubsystem_linux.cpp).
SHOWN_CONTROLLERS = ("cpuset", "cpuacct")

#: How mountinfo escapes its separators; the backslash must come last.
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}

#: systemd sets this to 1 on a cgroup that a service may divide (Delegate=yes),
#: see https://systemd.io/CGROUP_DELEGATION
_DELEGATED = "trusted.delegate"

#: The cgroup that other processes are moved to in version 2, see `v2.vacate`.
LEAF = "init"


class Layout(NamedTuple):
    """The directories, by controller, in which hsup makes its own.

    In version 2 all are the same. `shown` are those of the controllers that limit nothing.
    """

    version: int
    parents: Mapping[str, str]
    shown: Mapping[str, str] = MappingProxyType({})

    @property
    def directories(self) -> tuple[str, ...]:
        """Return each directory once: two controllers of version 1 may share one."""
        return tuple(dict.fromkeys((*self.parents.values(), *self.shown.values())))


def survey(
    mountinfo: str, own_cgroup: str, *, is_container: bool = False
) -> tuple[Layout, Sequence[Finding]]:
    """Look at the machine without changing anything.

    Returns a layout that is usable if no finding has a remedy.
    `mountinfo` and `own_cgroup` are the texts of /proc/self/mountinfo and
    /proc/self/cgroup. In a container the cgroups of dynos are made below its own, even if
    it sees those of the host (docker run --cgroupns host), so that they end with it.
    """
    v1 = _version_1(mountinfo)
    v2 = _version_2(mountinfo, own_cgroup, is_container=is_container)
    layout = max((v1, v2), key=lambda layout: (len(layout.parents), -layout.version))
    if missing := tuple(_missing(layout)):
        return layout, missing
    return layout, (_writable(layout, is_container=is_container), _swap_limit(layout))


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
        own_path = _own_directory(root, point, own_cgroup)
        parent = _delegated(point, own_path) or point
        if is_container and own_path.startswith(f"{point}/"):
            parent = own_path.removesuffix(f"/{LEAF}")
        available = _read(f"{parent}/cgroup.controllers").split()
        return Layout(2, {name: parent for name in CONTROLLERS if name in available})
    return Layout(2, {})


def _mounts(mountinfo: str, filesystem: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the mounts of a kind: the cgroup that each shows, its mount point and options.

    See man 5 proc_pid_mountinfo. Mounts that another one hides are left out.
    """
    for line in mountinfo.splitlines():
        mount, _, file_system = line.partition(" - ")
        name, _, options = file_system.split(" ", 2)
        if name == filesystem:
            root, point = map(_unescaped, mount.split(" ")[3:5])
            if os.path.exists(f"{point}/cgroup.procs"):
                yield root, point, options.split(",")


def _unescaped(path: str) -> str:
    for written, character in _ESCAPES.items():
        path = path.replace(written, character)
    return path


def _own_directory(root: str, point: str, own_cgroup: str) -> str:
    own_path = next((line[3:] for line in own_cgroup.splitlines() if line.startswith("0::/")), "/")
    return os.path.normpath(f"{point}/{os.path.relpath(own_path, root)}")


def _delegated(point: str, own_path: str) -> str | None:
    """Return the cgroup that systemd delegated to hsup: its own, or the parent of that.

    It is the parent with DelegateSubgroup=, and if hsup was moved to a leaf.
    """
    for candidate in (own_path, os.path.dirname(own_path)):
        if candidate.startswith(f"{point}/") and _is_delegated(candidate):
            return candidate
    return None


def _is_delegated(directory: str) -> bool:
    try:
        return os.getxattr(directory, _DELEGATED) == b"1"
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


def _writable(layout: Layout, *, is_container: bool) -> Finding:
    where = ", ".join(layout.directories)
    for directory in layout.directories:
        if os.statvfs(directory).f_flag & os.ST_RDONLY:
            import shlex  # slow to import, rarely needed

            remedy = f"remount it read-write: mount -o remount,rw {shlex.quote(directory)}"
            if is_container:
                remedy = "start this container with --privileged --cgroupns=private"
            text = f"{directory} is mounted read-only"
            return Finding("cgroups", is_good=False, text=text, remedy=remedy)
    return Finding("cgroups", is_good=True, text=f"version {layout.version}, in {where}")


def _swap_limit(layout: Layout) -> Finding:
    """Return whether swap can be limited; where it cannot, dynos run without swap."""
    subject = "swap limit"
    v1_file = f"{layout.parents['memory']}/memory.memsw.limit_in_bytes"
    if layout.version == 1 and not os.path.exists(v1_file):
        text = "the kernel cannot limit swap, so dynos get no swap; boot with swapaccount=1"
        return Finding(subject, is_good=False, text=text)  # with a remedy, it would be needed
    return Finding(subject, is_good=True, text="memory and swap are both limited")


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""
