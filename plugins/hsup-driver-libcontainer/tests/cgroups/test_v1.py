"""Cgroups of version 1 as they would be made, in ordinary directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsup.sizes import SIZES
from hsup_driver_libcontainer.cgroups.cgroups import Cgroups
from hsup_driver_libcontainer.cgroups.layout import CONTROLLERS, SHOWN_CONTROLLERS, Layout
from hsup_driver_libcontainer.cgroups.v1 import Version1

SIZE = SIZES["performance-m"]


@pytest.fixture
def v1(tmp_path: Path) -> Cgroups:
    parents = {name: str(tmp_path / name) for name in (*CONTROLLERS, *SHOWN_CONTROLLERS)}
    for directory in parents.values():
        os.mkdir(directory)
    limiting = {name: parents[name] for name in CONTROLLERS}
    return Cgroups(Layout(1, limiting, {name: parents[name] for name in SHOWN_CONTROLLERS}))


def test_version_1_has_a_cgroup_for_each_controller(v1: Cgroups, tmp_path: Path) -> None:
    told = [*v1.explain("1", "3000", SIZE)]
    names = (*CONTROLLERS, *SHOWN_CONTROLLERS)
    assert told[:6] == [
        *(f"make the cgroup {tmp_path}/{name}/hsup-1/3000" for name in names),
        f"give {tmp_path}/cpuset/hsup-1/3000 the processors of its parent",
    ]
    assert f"write 200000 to {tmp_path}/cpu/hsup-1/3000/cpu.cfs_quota_us" in told
    assert all(not os.listdir(tmp_path / name) for name in names)


@pytest.mark.parametrize("is_limited", [True, False])
def test_version_1_limits_swap_where_the_cgroup_above_does(
    v1: Cgroups, tmp_path: Path, is_limited: bool
) -> None:
    if is_limited:
        (tmp_path / "memory/memory.memsw.limit_in_bytes").touch()
    told = "\n".join(v1.explain("1", "3000", SIZE))
    assert ("memory.memsw.limit_in_bytes" in told) == is_limited
    assert ("write 0 to " in told) != is_limited  # memory.swappiness


def test_what_is_planned_is_seen_as_if_it_were_there(v1: Cgroups, tmp_path: Path) -> None:
    planned = v1.planned("1", "3000", SIZE)
    assert (f"{tmp_path}/memory/hsup-1/3000", "memory") in planned.view.binds
    assert planned.join_files[0] == f"{tmp_path}/memory/hsup-1/3000/tasks"


def test_without_a_limit_of_swap_version_1_does_not_swap(tmp_path: Path) -> None:
    directories = dict.fromkeys(("memory", "pids", "cpu"), str(tmp_path))
    v1 = Version1()
    small = SIZES["standard-1x"]
    written = dict(v1.limits(directories, small, limits_swap=v1.limits_swap(directories)))
    assert written[f"{tmp_path}/memory.swappiness"] == "0"
    (tmp_path / "memory.memsw.limit_in_bytes").touch()
    written = dict(v1.limits(directories, SIZE, limits_swap=v1.limits_swap(directories)))
    assert written[f"{tmp_path}/memory.memsw.limit_in_bytes"] == str(5 << 30)
