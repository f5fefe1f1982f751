"""Layouts of real machines, by their mountinfo."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup_driver_libcontainer.cgroups.layout import survey

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def mounts(*lines: str) -> str:
    return "".join(f"3{index} 31 0:3{index} {line}\n" for index, line in enumerate(lines))


def v1(point: object, controllers: str, root: str = "/") -> str:
    return f"{root} {point} rw,relatime - cgroup cgroup rw,{controllers}"


def v2(point: object, root: str = "/") -> str:
    return f"{root} {point} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"


@pytest.fixture
def directory(tmp_path: Path) -> Callable[..., str]:
    """Make a directory with the files of a cgroup that are looked at."""

    def make(name: str, controllers: str = "") -> str:
        directory = tmp_path / name
        directory.mkdir(parents=True)
        (directory / "cgroup.controllers").write_text(controllers + "\n")
        (directory / "cgroup.procs").write_text("")
        (directory / "memory.memsw.limit_in_bytes").write_text("")
        return str(directory)

    return make


def test_each_controller_of_version_1_is_found_at_its_mount(directory: Callable[..., str]) -> None:
    points = {name: directory(name) for name in ("cpu,cpuacct", "memory", "pids")}
    text = mounts("/ / rw - ext4 /dev/vda rw", *(v1(point, name) for name, point in points.items()))
    layout, findings = survey(text, "4:memory:/user.slice\n")
    assert layout.version == 1
    assert layout.parents == {
        "memory": points["memory"],
        "pids": points["pids"],
        "cpu": points["cpu,cpuacct"],
    }
    assert [finding.is_good for finding in findings] == [True, True]


def test_controllers_that_programs_look_for_are_shown_where_they_are_there(
    directory: Callable[..., str],
) -> None:
    lines = [v1(directory(name), name) for name in ("cpu,cpuacct", "cpuset", "memory", "pids")]
    layout, _ = survey(mounts(*lines), "")
    assert [os.path.basename(layout.shown[name]) for name in ("cpuset", "cpuacct")] == [
        "cpuset",
        "cpu,cpuacct",
    ]
    assert len(layout.directories) == len(lines)


def test_controllers_that_are_only_shown_do_not_choose_the_version(
    directory: Callable[..., str],
) -> None:
    unified = directory("unified", "cpu memory pids")
    lines = [v1(directory(name), name) for name in ("memory", "cpuset", "cpuacct")]
    layout, _ = survey(mounts(v2(unified), *lines), "0::/\n")
    assert (layout.version, layout.directories) == (2, (unified,))


def test_controllers_that_share_a_hierarchy_share_a_directory(
    directory: Callable[..., str],
) -> None:
    point = directory("all")
    layout, _ = survey(mounts(v1(point, "cpu,memory,pids")), "")
    assert layout.directories == (point,)


def test_beside_an_empty_version_2_version_1_is_used(directory: Callable[..., str]) -> None:
    lines = [v1(directory(name), name) for name in ("memory", "pids", "cpu")]
    layout, _ = survey(mounts(v2(directory("unified")), *lines), "0::/\n")
    assert layout.version == 1


def test_version_2_is_used_where_the_controllers_are_there(directory: Callable[..., str]) -> None:
    point = directory("cgroup", "cpuset cpu io memory hugetlb pids")
    layout, findings = survey(mounts(v2(point)), "0::/user.slice/session-1.scope\n")
    assert (layout.version, layout.directories) == (2, (point,))
    assert findings[0].text == f"version 2, in {point}"


def test_of_several_mounts_the_first_is_used(directory: Callable[..., str]) -> None:
    first, second = (directory(name, "cpu memory pids") for name in ("first", "second"))
    layout, _ = survey(mounts(v2(first), v2(second)), "0::/\n")
    assert layout.directories == (first,)


def test_a_path_with_a_blank_is_read(directory: Callable[..., str]) -> None:
    point = directory("a b", "cpu memory pids")
    layout, _ = survey(mounts(v2(point.replace(" ", "\\040"))), "0::/\n")
    assert layout.directories == (point,)


def test_a_missing_controller_of_version_1_is_to_be_mounted(directory: Callable[..., str]) -> None:
    text = mounts(v1(directory("memory"), "memory"), v1(directory("cpu"), "cpu"))
    there = "/sys/fs/cgroup/pids"
    _, findings = survey(text, "")
    assert [(one.is_good, one.text, one.remedy) for one in findings] == [
        (
            False,
            "the cgroup controller pids is not available",
            f"mount it: mkdir -p {there} && mount -t cgroup -o pids cgroup {there}",
        )
    ]


def test_a_missing_controller_of_version_2_is_to_be_booted_with(
    directory: Callable[..., str],
) -> None:
    _, findings = survey(mounts(v2(directory("cgroup", "cpuset cpu pids"))), "0::/\n")
    assert len(findings) == 1
    assert "memory" in findings[0].text
    assert "cgroup_enable=memory" in (findings[0].remedy or "")


def test_without_cgroups_every_controller_is_missing() -> None:
    _, findings = survey(mounts("/ / rw - ext4 /dev/vda rw"), "")
    assert len(findings) == 3
    assert all(finding.remedy for finding in findings)


def test_a_mount_that_is_hidden_by_another_is_not_there(tmp_path: Path) -> None:
    _, findings = survey(mounts(v1(str(tmp_path), "cpu,memory,pids")), "")
    assert len(findings) == 3


def test_a_limit_of_swap_is_not_needed(directory: Callable[..., str]) -> None:
    point = directory("all")
    os.unlink(f"{point}/memory.memsw.limit_in_bytes")
    _, findings = survey(mounts(v1(point, "cpu,memory,pids")), "")
    assert [(one.is_good, one.remedy) for one in findings] == [(True, None), (False, None)]


@needs_root
def test_directories_that_are_mounted_read_only_are_refused(tmp_path: Path) -> None:
    point = tmp_path / "c;group"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        (point / "cgroup.controllers").write_text("cpu memory pids\n")
        (point / "cgroup.procs").touch()
        subprocess.run(["mount", "-o", "remount,ro", point], check=True)
        _, findings = survey(mounts(v2(str(point))), "0::/\n")
        _, contained = survey(mounts(v2(str(point))), "0::/\n", is_container=True)
    finally:
        subprocess.run(["umount", point], check=True)
    assert findings[0].text == f"{point} is mounted read-only"
    assert findings[0].remedy == f"remount it read-write: mount -o remount,rw '{point}'"
    assert "--privileged" in (contained[0].remedy or "")


@needs_root
@pytest.mark.parametrize("own", ["/service", "/service/leaf"])
def test_what_systemd_delegated_is_used(directory: Callable[..., str], own: str) -> None:
    point = directory("cgroup", "cpu")
    service = directory("cgroup/service", "cpu memory pids")
    try:
        os.setxattr(service, "trusted.delegate", b"1")
    except OSError as error:
        pytest.skip(f"this file system has no such attributes: {error}")
    layout, _ = survey(mounts(v2(point)), f"0::{own}\n")
    assert layout.directories == (service,)


@needs_root
def test_in_a_container_what_is_delegated_is_found_below_the_root_of_the_mount(
    directory: Callable[..., str],
) -> None:
    point = directory("cgroup", "cpu")
    service = directory("cgroup/service", "cpu memory pids")
    try:
        os.setxattr(service, "trusted.delegate", b"1")
    except OSError as error:
        pytest.skip(f"this file system has no such attributes: {error}")
    layout, _ = survey(mounts(v2(point, "/box")), "0::/box/service\n")
    assert layout.directories == (service,)


def test_what_nobody_delegated_is_left_alone(directory: Callable[..., str]) -> None:
    point = directory("cgroup", "cpu memory pids")
    directory("cgroup/service", "cpu memory pids")
    layout, _ = survey(mounts(v2(point)), "0::/service\n")
    assert layout.directories == (point,)


@pytest.mark.parametrize("own", ["/docker/box", "/docker/box/init"])
def test_a_container_that_sees_the_hosts_cgroups_uses_its_own(
    directory: Callable[..., str], own: str
) -> None:
    point = directory("cgroup", "cpu memory pids")
    box = directory("cgroup/docker/box", "cpu memory pids")
    layout, _ = survey(mounts(v2(point)), f"0::{own}\n", is_container=True)
    assert layout.directories == (box,)


@pytest.mark.parametrize("own", ["/", "/init"])
def test_a_container_with_a_cgroup_namespace_uses_its_root(
    directory: Callable[..., str], own: str
) -> None:
    point = directory("cgroup", "cpu memory pids")
    layout, _ = survey(mounts(v2(point)), f"0::{own}\n", is_container=True)
    assert layout.directories == (point,)
