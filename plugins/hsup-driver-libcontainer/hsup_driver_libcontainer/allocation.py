"""What one dyno is given of this machine: a uid, an address, cgroups, a host name."""

from __future__ import annotations

import os
from typing import NamedTuple

from hsup.launch import START_UP, START_UP_FILE
from hsup.model import DynoSpec
from hsup.sizes import OPEN_FILES, Size
from hsup_driver_libcontainer.cgroups.cgroups import Group
from hsup_driver_libcontainer.child.plan import BindMount, ContainerPlan, ProcessSetup, Terminal
from hsup_driver_libcontainer.network import resolv
from hsup_driver_libcontainer.network.subnets import Subnet


class Allocation(NamedTuple):
    """What a dyno was given, to be given back when the dyno has ended.

    `cpus` are those that it may use; empty means all. `hostname` is a UUID, as on
    the platform.
    """

    uid: int
    hostname: str
    size: Size
    subnet: Subnet
    group: Group
    cpus: tuple[int, ...]

    @property
    def interface(self) -> str:
        """Return the name of the interface at the host's end of the dyno's network."""
        return f"hsup{self.subnet.number:08x}"

    def ran_out_of_memory(self) -> bool:
        """Tell whether the kernel killed a process of the dyno for using too much memory.

        False if the counter cannot be read because too many files are open.
        """
        try:
            return self.group.out_of_memory_kills() > 0
        except OSError:
            return False

    def process_setup(self) -> ProcessSetup:
        """Return the setup that does not depend on what the dyno runs."""
        return ProcessSetup(
            uid=self.uid,
            hostname=self.hostname,
            open_files=OPEN_FILES,
            cpus=self.cpus,
            join_files=self.group.join_files,
        )

    def plan(
        self,
        spec: DynoSpec,
        *,
        stack: str,
        app: str | None,
        scratch_bytes: int,
        terminal: Terminal | None,
    ) -> ContainerPlan:
        """Return the plan of the dyno; `app` is the directory of its slug, None without one."""
        files = {
            "/etc/debian_chroot": f"{spec.name}\n",  # shown in the prompt of Debian's bash
            "/etc/hostname": f"{self.hostname}\n",
            "/etc/hosts": resolv.hosts(self.subnet.dyno, self.hostname),
            "/etc/resolv.conf": resolv.resolv_conf(),
            START_UP_FILE: START_UP,
        }
        view = self.group.view
        binds = (BindMount(str(bind.host), str(bind.dyno), bind.read_only) for bind in spec.binds)
        return ContainerPlan(
            name=str(spec.name),
            stack=stack,
            app=app,
            files=files,
            binds=tuple(binds),
            scratch_bytes=scratch_bytes,
            cgroup_binds=view.binds,
            cgroup_files=view.files,
            terminal=terminal,
        )


def new_hostname() -> str:
    """Return a random UUID."""
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
