"""Cgroups of version 2 as they would be made, in ordinary directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsup.sizes import SIZES
from hsup_driver_libcontainer.cgroups.cgroups import Cgroups
from hsup_driver_libcontainer.cgroups.layout import CONTROLLERS, Layout
from hsup_driver_libcontainer.cgroups.v2 import Version2

SIZE = SIZES["performance-m"]


@pytest.fixture
def v2(tmp_path: Path) -> Cgroups:
    return Cgroups(Layout(2, dict.fromkeys(CONTROLLERS, str(tmp_path))))


def test_version_2_has_one_and_another_to_mount_a_file_on(v2: Cgroups, tmp_path: Path) -> None:
    told = [*v2.explain("1", "3000", SIZE)]
    own = f"{tmp_path}/hsup-1/3000"
    assert told[:2] == [f"make the cgroup {own}", f"make the cgroup {own}/memory"]
    assert f"write {SIZE.memory} to {own}/memory.max" in told
    assert f"write 200000 100000 to {own}/cpu.max" in told
    assert not list(tmp_path.iterdir())


def test_what_is_planned_is_seen_as_if_it_were_there(v2: Cgroups, tmp_path: Path) -> None:
    planned = v2.planned("1", "3000", SIZE)
    assert planned.view.binds == ((f"{tmp_path}/hsup-1/3000", ""),)
    assert planned.join_files == (f"{tmp_path}/hsup-1/3000/cgroup.procs",)


def test_version_2_is_told_what_lies_beyond_the_quota_as_swap(tmp_path: Path) -> None:
    (tmp_path / "memory.swap.max").touch()
    directories = dict.fromkeys(("memory", "pids", "cpu"), str(tmp_path))
    v2, large = Version2(), SIZES["performance-2xl"]
    written = dict(v2.limits(directories, large, limits_swap=v2.limits_swap(directories)))
    assert {path.removeprefix(f"{tmp_path}/"): value for path, value in written.items()} == {
        "memory.max": str(126 << 30),
        "memory.swap.max": str(25 << 30),
        "memory.oom.group": "1",
        "pids.max": "65536",
        "cpu.weight": "10000",
        "cpu.max": "1600000 100000",
    }
