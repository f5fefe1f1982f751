"""The explanation of what would be made for a dyno, in ordinary directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsup.sizes import SIZES
from hsup_driver_libcontainer.cgroups.cgroups import Cgroups
from hsup_driver_libcontainer.cgroups.layout import CONTROLLERS, SHOWN_CONTROLLERS, Layout

SIZE = SIZES["performance-m"]


@pytest.fixture
def v1(tmp_path: Path) -> Cgroups:
    parents = {name: str(tmp_path / name) for name in (*CONTROLLERS, *SHOWN_CONTROLLERS)}
    for folder in parents.values():
        os.mkdir(folder)
    limiting = {name: parents[name] for name in CONTROLLERS}
    return Cgroups(Layout(1, limiting, {name: parents[name] for name in SHOWN_CONTROLLERS}))


@pytest.fixture
def v2(tmp_path: Path) -> Cgroups:
    return Cgroups(Layout(2, dict.fromkeys(CONTROLLERS, str(tmp_path))))


def test_version_1_has_a_cgroup_for_each_controller(v1, tmp_path):
    told = [*v1.explain("1", "3000", SIZE)]
    names = (*CONTROLLERS, *SHOWN_CONTROLLERS)
    assert told[:6] == [
        *(f"make the cgroup {tmp_path}/{name}/hsup-1/3000" for name in names),
        f"give {tmp_path}/cpuset/hsup-1/3000 the processors of its parent",
    ]
    assert f"write 200000 to {tmp_path}/cpu/hsup-1/3000/cpu.cfs_quota_us" in told
    assert all(not os.listdir(tmp_path / name) for name in names)


@pytest.mark.parametrize("is_limited", [True, False])
def test_version_1_limits_swap_where_the_cgroup_above_does(v1, tmp_path, is_limited):
    if is_limited:
        (tmp_path / "memory/memory.memsw.limit_in_bytes").touch()
    told = "\n".join(v1.explain("1", "3000", SIZE))
    assert ("memory.memsw.limit_in_bytes" in told) == is_limited
    assert ("write 0 to " in told) != is_limited  # memory.swappiness


def test_version_2_has_one_and_another_to_mount_a_file_on(v2, tmp_path):
    told = [*v2.explain("1", "3000", SIZE)]
    own = f"{tmp_path}/hsup-1/3000"
    assert told[:2] == [f"make the cgroup {own}", f"make the cgroup {own}/memory"]
    assert f"write {SIZE.memory} to {own}/memory.max" in told
    assert f"write 200000 100000 to {own}/cpu.max" in told
    assert not list(tmp_path.iterdir())


def test_what_is_planned_is_seen_as_if_it_were_there(v1, v2, tmp_path):
    one, other = (made.planned("1", "3000", SIZE) for made in (v1, v2))
    assert (f"{tmp_path}/memory/hsup-1/3000", "memory") in one.view.binds
    assert one.join_files[0] == f"{tmp_path}/memory/hsup-1/3000/tasks"
    assert other.view.binds == ((f"{tmp_path}/hsup-1/3000", ""),)
    assert other.join_files == (f"{tmp_path}/hsup-1/3000/cgroup.procs",)
