"""The counters of cgroups, in files as both versions have them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hsup.api import Measurement
from hsup.sizes import named
from hsup_driver_libcontainer.cgroups.cgroups import Group
from hsup_driver_libcontainer.cgroups.v1 import Version1
from hsup_driver_libcontainer.cgroups.v2 import Version2

SIZE = named("standard-1x")
#: Of Linux 6.18; the order and the zeros are the kernel's.
V1 = {
    "memory/memory.stat": """\
cache 8110080
rss 22249472
rss_huge 4194304
shmem 0
mapped_file 7077888
dirty 0
writeback 0
workingset_refault_anon 0
workingset_refault_file 0
swap 1048576
swapcached 0
pgpgin 348836
pgpgout 343403
pgfault 21010
inactive_anon 22241280
hierarchical_memory_limit 536870912
hierarchical_memsw_limit 1073741824
total_cache 8110080
total_rss 22249472
total_swap 1048576
total_pgpgin 348836
""",
    "cpuacct/cpuacct.usage": "1234567890\n",
    "memory/tasks": "",
}
V2 = {
    "memory.stat": """\
anon 22249472
file 8110080
kernel 2097152
kernel_stack 131072
pagetables 561152
sock 0
shmem 0
file_mapped 7077888
file_dirty 0
swapcached 0
anon_thp 4194304
pgfault 21010
pgmajfault 3
""",
    "memory.swap.current": "1048576\n",
    "cpu.stat": """\
usage_usec 1234568
user_usec 1000000
system_usec 234568
nr_periods 0
""",
    "cgroup.threads": "",
}
MEASURED = Measurement(
    memory_rss=22249472,
    memory_cache=8110080,
    memory_swap=1048576,
    memory_pgpgin=348836,
    memory_pgpgout=343403,
    memory_quota=SIZE.memory,
    cpu_seconds=1.23456789,
    runnable=0,
)


def write(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


@pytest.fixture
def v1(tmp_path: Path) -> Group:
    write(tmp_path, V1)
    directories = {name: f"{tmp_path}/{name}" for name in ("memory", "pids", "cpu", "cpuacct")}
    return Group(Version1(), directories, SIZE)


@pytest.fixture
def v2(tmp_path: Path) -> Group:
    write(tmp_path, V2)
    return Group(Version2(), dict.fromkeys(("memory", "pids", "cpu"), str(tmp_path)), SIZE)


def test_version_1_counts_memory_swap_pages_and_time(v1: Group) -> None:
    assert v1.measured() == MEASURED


def test_version_1_without_swap_or_cpuacct_does_not_know_them(tmp_path: Path) -> None:
    lines = [line for line in V1["memory/memory.stat"].splitlines() if not line.startswith("swap ")]
    write(tmp_path, {**V1, "memory/memory.stat": "\n".join(lines)})
    group = Group(Version1(), {"memory": f"{tmp_path}/memory"}, SIZE)
    assert group.measured() == MEASURED._replace(memory_swap=None, cpu_seconds=None)


def test_version_2_counts_all_but_pages(v2: Group) -> None:
    expected = MEASURED._replace(memory_pgpgin=None, memory_pgpgout=None, cpu_seconds=1.234568)
    assert v2.measured() == expected


def test_version_2_without_swap_does_not_know_it(v2: Group, tmp_path: Path) -> None:
    (tmp_path / "memory.swap.current").unlink()
    measured = v2.measured()
    assert measured is not None
    assert measured.memory_swap is None


def test_threads_that_have_ended_or_are_elsewhere_do_not_count(v2: Group, tmp_path: Path) -> None:
    ended = os.fork()
    if not ended:
        os._exit(0)
    os.waitpid(ended, 0)
    (tmp_path / "cgroup.threads").write_text(f"0\n{ended}\n{os.getpid()}\n")
    measured = v2.measured()
    assert measured is not None
    assert measured.runnable == 1  # the test itself


@pytest.mark.parametrize("lacking", ["memory.stat", "cpu.stat", "cgroup.threads"])
def test_a_cgroup_that_is_being_removed_is_not_measured(
    v2: Group, tmp_path: Path, lacking: str
) -> None:
    (tmp_path / lacking).unlink()
    assert v2.measured() is None
