"""What one dyno has of this machine: a user, cgroups, an address, and its plan."""

from __future__ import annotations

import os
from typing import NamedTuple

from hsup.launch import START_UP, START_UP_FILE
from hsup.model import Address, DynoSpec
from hsup_driver_libcontainer import plan, resolv
from hsup_driver_libcontainer.cgroups import Group
from hsup_driver_libcontainer.plan import BindMount, Plan, Program
from hsup_driver_libcontainer.prepared import Prepared
from hsup_driver_libcontainer.sizes import OPEN_FILES, Size
from hsup_driver_libcontainer.subnets import Subnet


class Container(NamedTuple):
    """What was taken for a dyno, to be given back when it is gone.

    `cpus` are those that it may use, none for all.
    """

    spec: DynoSpec
    prepared: Prepared
    size: Size
    uid: int
    subnet: Subnet
    group: Group
    cpus: tuple[int, ...]
    scratch_bytes: int
    address: Address | None

    def ran_out_of_memory(self) -> bool:
        """Tell whether the kernel killed a process of the dyno for its memory."""
        return self.group.out_of_memory_kills() > 0

    def plan(self, program: Program, *, resolv_conf: str, seccomp: str) -> int:
        """Return a memory file with the plan of the dyno."""
        hostname = _uuid()
        view = self.group.view
        files = {
            "/etc/debian_chroot": f"{self.spec.name}\n",  # which Debian's bash has in its prompt
            "/etc/hostname": f"{hostname}\n",
            "/etc/hosts": resolv.hosts(self.subnet.dyno, hostname),
            START_UP_FILE: START_UP,
            "/etc/resolv.conf": resolv_conf,
        }
        return plan.write(
            Plan(
                name=str(self.spec.name),
                hostname=hostname,
                uid=self.uid,
                stack=self.prepared.root,
                app=self.prepared.app,
                files=files,
                binds=tuple(
                    BindMount(str(one.host), str(one.dyno), one.read_only)
                    for one in self.spec.binds
                ),
                scratch_bytes=self.scratch_bytes,
                open_files=OPEN_FILES,
                cpus=self.cpus,
                join_files=self.group.join_files,
                cgroup_binds=view.binds,
                cgroup_files=view.files,
                seccomp=seccomp,
                program=program,
            )
        )


def _uuid() -> str:
    """Return a random UUID, which is a dyno's host name on the platform."""
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
