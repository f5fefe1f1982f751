"""The data that hsup hands to the processes of a dyno: all that they need, and nothing else.

Plans and programs are passed as JSON in memory files, so that they never enter the memory
of the zygote, which all dynos share.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple


class Terminal(NamedTuple):
    """The streams (of 0, 1, 2) that are a terminal, and its size."""

    streams: tuple[int, ...]
    rows: int
    columns: int


class Program(NamedTuple):
    """A program to execute: `argv[0]` is an absolute path within the dyno."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    terminal: Terminal | None = None


class BindMount(NamedTuple):
    """A path of the host that appears at a path of the dyno."""

    host: str
    dyno: str
    read_only: bool


class SharedSetup(NamedTuple):
    """What all dynos of an hsup share.

    `kept` are descriptors of leases that each first process keeps open until it ends,
    `stage` is an empty directory to build file systems in, `seccomp` the system call filter
    in hexadecimal digits, and `highest_capability` the number of the kernel's last one.
    """

    kept: Sequence[int]
    stage: str
    seccomp: str
    highest_capability: int


class ProcessSetup(NamedTuple):
    """What does not depend on a dyno's program, so that it can be set up before there is one.

    `join_files` are the files of cgroups that a process writes to in order to join them.
    `cpus` are those that the dyno may use; empty means all.
    """

    uid: int
    hostname: str
    open_files: int
    cpus: Sequence[int]
    join_files: Sequence[str]

    def packet(self) -> bytes:
        """Encode it as lines, which take less memory to read than JSON."""
        cpus = " ".join(map(str, self.cpus))
        lines = (str(self.uid), self.hostname, str(self.open_files), cpus, *self.join_files)
        return os.fsencode("\n".join(lines))

    @classmethod
    def read(cls, packet: bytes) -> ProcessSetup:
        """Decode what `packet` returned."""
        uid, hostname, open_files, cpus, *join_files = os.fsdecode(packet).split("\n")
        return cls(int(uid), hostname, int(open_files), [*map(int, cpus.split())], join_files)


class ContainerPlan(NamedTuple):
    """The file systems and the terminal of a dyno.

    `stack` is its root directory, `app` the directory of the unpacked slug, or None for
    an empty /app. `files` are laid over the stack: a content by path. Sizes are in bytes.
    /sys/fs/cgroup shows `cgroup_binds`, pairs of a directory of the host and a path there,
    and `cgroup_files`, pairs of a path there and a content.
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
    binds = tuple(BindMount(*fields) for fields in plan.binds)
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
