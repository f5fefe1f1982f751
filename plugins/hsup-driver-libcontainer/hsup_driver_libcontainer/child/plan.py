"""What hsup tells the processes of a dyno: everything they need, and nothing else.

Plans and programs travel as JSON in memory files, so that they never enter the
memory of the zygote, which all dynos share.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple


class Terminal(NamedTuple):
    """The streams (0, 1, 2) that are a terminal, and its size."""

    streams: tuple[int, ...]
    rows: int
    columns: int


class Program(NamedTuple):
    """What is executed: `argv[0]` is an absolute path within the dyno."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    terminal: Terminal | None = None


class BindMount(NamedTuple):
    """A path of the host that is seen under a path of the dyno's."""

    host: str
    dyno: str
    read_only: bool


class SharedSetup(NamedTuple):
    """What all dynos of an hsup have.

    `kept` are descriptors of leases that each first process holds as long as it
    lives, `stage` is an empty folder to build file systems in, `seccomp` the
    system call filter, in hexadecimal digits, and `highest_capability` the
    highest one that the kernel knows.
    """

    kept: Sequence[int]
    stage: str
    seccomp: str
    highest_capability: int


class ProcessSetup(NamedTuple):
    """What a dyno has whatever it runs, so that it can be made beforehand.

    `join_files` are those of cgroups that the program writes itself into.
    `cpus` are those that the dyno may use, none for all.
    """

    uid: int
    hostname: str
    open_files: int
    cpus: Sequence[int]
    join_files: Sequence[str]

    def packet(self) -> bytes:
        """Return it in lines, which take less memory to read than JSON."""
        cpus = " ".join(map(str, self.cpus))
        lines = (str(self.uid), self.hostname, str(self.open_files), cpus, *self.join_files)
        return os.fsencode("\n".join(lines))

    @classmethod
    def read(cls, packet: bytes) -> ProcessSetup:
        """Return what `packet` was made of."""
        uid, hostname, open_files, cpus, *join_files = os.fsdecode(packet).split("\n")
        return cls(int(uid), hostname, int(open_files), [*map(int, cpus.split())], join_files)


class ContainerPlan(NamedTuple):
    """What a dyno sees.

    `stack` is the root folder, `app` the folder with the unpacked slug or None
    for an empty one. `files` are laid over the stack, by their path. Sizes are
    in bytes. In /sys/fs/cgroup are `cgroup_binds`, pairs of a folder of the
    host and a place there, and `cgroup_files`, pairs of a place and a content.
    """

    name: str
    stack: str
    app: str | None
    files: dict[str, str]
    binds: tuple[BindMount, ...]
    scratch_bytes: int
    cgroup_binds: tuple[tuple[str, str], ...]
    cgroup_files: tuple[tuple[str, str], ...]
    terminal: Terminal | None = None


def write(value: ContainerPlan | Program) -> int:
    """Return a descriptor of a memory file with a plan or a program in it."""
    descriptor = os.memfd_create("hsup-plan", os.MFD_CLOEXEC)
    with open(descriptor, "w", closefd=False) as file:
        json.dump(value._asdict(), file)
    return descriptor


def read_plan(descriptor: int) -> ContainerPlan:
    """Return the plan from a memory file."""
    plan = ContainerPlan(**_read(descriptor))
    binds = tuple(BindMount(*one) for one in plan.binds)
    return plan._replace(binds=binds, terminal=_terminal(plan.terminal))


def read_program(descriptor: int) -> Program:
    """Return the program from a memory file."""
    program = Program(**_read(descriptor))
    return program._replace(terminal=_terminal(program.terminal))


def _terminal(fields: tuple[Any, ...] | None) -> Terminal | None:
    return Terminal(*fields) if fields else None


def _read(descriptor: int) -> dict[str, Any]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, closefd=False) as file:
        return {name: _tuples(value) for name, value in json.load(file).items()}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
