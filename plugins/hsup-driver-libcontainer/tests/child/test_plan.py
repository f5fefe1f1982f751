from __future__ import annotations

import os

import pytest

from hsup_driver_libcontainer.child import plan
from hsup_driver_libcontainer.child.plan import (
    BindMount,
    ContainerPlan,
    ProcessSetup,
    Program,
    Terminal,
)

PROGRAM = Program(
    argv=("/bin/bash", "-c", "echo 'a  b'", "bash"),
    environment={"GREETING": "ä\n\udcff"},
    terminal=Terminal(streams=(0, 1, 2), rows=24, columns=80),
)


def test_a_plan_arrives_as_it_was_sent() -> None:
    sent = ContainerPlan(
        name="web.1",
        stack="/stack",
        app=None,
        files={"/etc/hosts": "127.0.0.1\tlocalhost\n"},
        binds=(BindMount("/srv", "/mnt/srv", read_only=True),),
        scratch_bytes=1 << 28,
        cgroup_binds=(("/sys/fs/cgroup/memory/x", "memory"),),
        cgroup_files=(("memory/memory.limit_in_bytes", "536870912\n"),),
        terminal=PROGRAM.terminal,
    )
    file = plan.write(sent)
    assert plan.read_plan(file) == sent
    os.close(file)


@pytest.mark.parametrize("cpus", [[], [0, 1]])
@pytest.mark.parametrize("join_files", [[], ["/sys/fs/cgroup/pids/x/tasks", "/a b/tasks"]])
def test_the_process_setup_arrives_as_it_was_sent(cpus: list[int], join_files: list[str]) -> None:
    sent = ProcessSetup(
        uid=3000, hostname="host", open_files=10_000, cpus=cpus, join_files=join_files
    )
    assert ProcessSetup.read(sent.packet()) == sent


def test_a_program_arrives_as_it_was_sent() -> None:
    file = plan.write(PROGRAM)
    assert plan.read_program(file) == PROGRAM
    os.close(file)
