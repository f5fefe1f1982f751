"""The one cgroup of a dyno on version 2: its limits, what ends it, what the dyno sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftest.program import Hsup, Running

ROOT = Path("/sys/fs/cgroup")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    if not ROOT.joinpath("cgroup.controllers").exists():
        pytest.skip("this machine has cgroups version 1")
    hsup.procfile(one=hsup.born)


def started(hsup: Hsup, size: str) -> tuple[Running, Path]:
    """Start a dyno of a size; return its hsup, and its cgroup as the host sees it."""
    running = hsup.start(f"one=1:{size}")
    running.wait_for("born$")
    own = Path("/proc", str(hsup.inside("one.1")[0]), "cgroup").read_text()
    return running, ROOT / own.strip().removeprefix("0::/")


def test_the_limits_are_those_of_the_size(hsup: Hsup) -> None:
    running, cgroup = started(hsup, "standard-2x")
    names = ("memory.max", "memory.oom.group", "pids.max", "cpu.weight", "cpu.max")
    values = [cgroup.joinpath(name).read_text().strip() for name in names]
    assert values == [str(1024 * MIB), "1", "512", "200", "max 100000"]
    assert running.stop() == 0


def test_a_dedicated_dyno_has_its_processors_and_no_more(hsup: Hsup) -> None:
    running, cgroup = started(hsup, "performance-m")
    assert cgroup.joinpath("cpu.max").read_text() == "200000 100000\n"
    assert running.stop() == 0


def test_nothing_is_left_of_it_after_the_stop(hsup: Hsup) -> None:
    running, cgroup = started(hsup, "eco")
    assert running.stop() == 0
    assert not cgroup.exists()
    assert not cgroup.parent.exists()


def test_using_up_the_memory_ends_all_of_the_dyno_at_once(hsup: Hsup) -> None:
    greedy = "python3 -c 'x = [bytearray(1 << 20) for _ in range(4096)]'"
    hsup.procfile(one=f"{hsup.sleep} & {greedy}; echo never")
    done = hsup.call("start", "--oneshot", timeout=60)
    assert done.status == 137
    assert "Error R15" in done.text
    assert "app[one.1]: never" not in done.text


def test_killing_the_cgroup_from_outside_is_an_exit_with_that_signal(hsup: Hsup) -> None:
    running, cgroup = started(hsup, "eco")
    cgroup.joinpath("cgroup.kill").write_text("1")
    running.wait_for("Process exited with status 137$")
    assert running.stop() == 0


def test_a_dyno_sees_its_own_cgroup_as_the_root(hsup: Hsup) -> None:
    line = "cat /proc/self/cgroup /sys/fs/cgroup/memory.max; ls -d /sys/fs/cgroup/*/"
    cgroup, memory, *children = hsup.call("run", line).text.splitlines()
    assert (cgroup, memory) == ("0::/", str(512 * MIB))
    assert children == ["/sys/fs/cgroup/memory/"]


@pytest.mark.parametrize("file", ["memory.max", "cgroup.procs", "cgroup.kill", "memory.oom.group"])
def test_a_dyno_cannot_change_its_cgroup(hsup: Hsup, file: str) -> None:
    done = hsup.call("run", f"echo 1 > /sys/fs/cgroup/{file}")
    assert done.status == 1
    assert "Permission denied" in done.message or "Read-only file system" in done.message
