"""What hsup tells the first process of a dyno: everything it needs, and nothing else.

A plan travels as JSON in a memory file, so that it never enters the memory of
the zygote, which all dynos share.
"""

from __future__ import annotations

import json
import os
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


class Plan(NamedTuple):
    """A dyno from its namespaces to its program.

    `stack` is the root folder, `app` the folder with the unpacked slug or None
    for an empty one. `files` are laid over the stack, by their path. Sizes are
    in bytes. `join_files` are the `cgroup.procs` that the program writes
    itself into. In /sys/fs/cgroup are `cgroup_binds`, pairs of a folder of the
    host and a place there, and `cgroup_files`, pairs of a place and a content.
    `cpus` are those that the dyno may use, none for all. `seccomp` is the system
    call filter, in hexadecimal digits.
    """

    name: str
    hostname: str
    uid: int
    stack: str
    app: str | None
    files: dict[str, str]
    binds: tuple[BindMount, ...]
    scratch_bytes: int
    open_files: int
    cpus: tuple[int, ...]
    join_files: tuple[str, ...]
    cgroup_binds: tuple[tuple[str, str], ...]
    cgroup_files: tuple[tuple[str, str], ...]
    seccomp: str
    program: Program


def write(value: NamedTuple) -> int:
    """Return a descriptor of a memory file with a plan, or a program, in it."""
    descriptor = os.memfd_create("hsup-plan", os.MFD_CLOEXEC)
    with open(descriptor, "w", closefd=False) as file:
        json.dump(value._asdict(), file)
    return descriptor


def read_plan(descriptor: int) -> Plan:
    """Return the plan from a memory file."""
    plan = Plan(**_read(descriptor))
    binds = tuple(BindMount(*one) for one in plan.binds)
    return plan._replace(binds=binds, program=_program(*plan.program))


def read_program(descriptor: int) -> Program:
    """Return the program from a memory file."""
    return _program(**_read(descriptor))


def _program(
    argv: tuple[str, ...], environment: dict[str, str], terminal: tuple[Any, ...] | None
) -> Program:
    return Program(argv, environment, Terminal(*terminal) if terminal else None)


def _read(descriptor: int) -> dict[str, Any]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, closefd=False) as file:
        return {name: _tuples(value) for name, value in json.load(file).items()}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
