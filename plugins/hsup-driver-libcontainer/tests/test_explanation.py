from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Settings
from hsup.model import Bind, Command, DynoName, Release, Slug
from hsup.testing import dyno_spec
from hsup_driver_libcontainer import requirements
from hsup_driver_libcontainer.child import kernel
from hsup_driver_libcontainer.child.plan import BindMount
from hsup_driver_libcontainer.child.steps import (
    AttachBind,
    AttachSlug,
    ChangeRoot,
    Choice,
    Device,
    File,
    GiveFiles,
    Hide,
    Link,
    Mount,
    MountPoint,
    OpenBind,
    Protect,
)
from hsup_driver_libcontainer.driver import LibcontainerDriver
from hsup_driver_libcontainer.explanation import told

BIND = BindMount("/srv", "/mnt", read_only=True)
READ_ONLY = kernel.MS_RDONLY | kernel.MS_NOSUID
WHOLE, RDONLY, NODEV = kernel.AT_RECURSIVE, kernel.MOUNT_ATTR_RDONLY, kernel.MOUNT_ATTR_NODEV


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Mount("mount tmpfs at /x", "tmpfs", "/x", "tmpfs"), "mount tmpfs at /x"),
        (
            Mount("mount all at /", "overlay", "/", "overlay", READ_ONLY, "lowerdir=/a:/b"),
            "mount all at / (overlay, ro, nosuid, lowerdir=/a:/b)",
        ),
        (
            Mount("make it", "none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE),
            "make it (recursive, private)",
        ),
        (MountPoint("make it", "/x"), "make it"),
        (MountPoint("make it", "/x", is_directory=False), "make it (an empty file)"),
        (MountPoint("make it", "/x", owner=3000), "make it (owner 3000)"),
        (File("write it", "/x", "ä\n"), "write it (3 bytes)"),
        (File("write it", "/x", os.fsdecode(b"\xff")), "write it (1 bytes)"),
        (Device("make it", "/x", 1, 3), "make it (1:3)"),
        (Link("make it", "/x", "/y"), "make it (to /y)"),
        (OpenBind("open it", BIND, WHOLE, RDONLY | NODEV), "open it (recursive, ro, nodev)"),
        (OpenBind("open it", BIND, 0, 0), "open it (without the mounts below it)"),
        (AttachBind("bind it", BIND, 3000, 0), "bind it"),
        (AttachBind("bind it", BIND, 3000, READ_ONLY), "bind it (ro, nosuid)"),
        (AttachSlug("attach it", "/x", "/y", is_idmapped=False), "attach it"),
        (
            AttachSlug("attach it", "/x", "/y", is_idmapped=True),
            "attach it (idmapped, nosuid, nodev)",
        ),
        (GiveFiles("give it", "/x", "/y", 3000), "give it (user 3000)"),
        (Hide("hide it", "/new/proc/none", "", READ_ONLY), "hide it (not on this machine)"),
        (Hide("hide it", "/new/proc/version", "", READ_ONLY), "hide it (/dev/null)"),
        (
            Hide("hide it", "/new/proc/sys", "", READ_ONLY),
            "hide it (an empty directory, ro, nosuid)",
        ),
        (Protect("make it ro", "/new/proc/none", 0), "make it ro (not on this machine)"),
        (Protect("make it ro", "/new/proc/sys", READ_ONLY), "make it ro (bind, ro, nosuid)"),
        (ChangeRoot("change to it", "/new"), "change to it (/new)"),
    ],
)
def test_a_step_is_told_with_what_it_is_taken_with(step: Any, text: str) -> None:
    assert [*told([step], "/new")] == [text]


def test_both_ways_of_a_choice_are_told() -> None:
    one, other = MountPoint("make it", "/x"), MountPoint("make another", "/y", owner=1)
    assert [*told([Choice((one,), (), (other,)), one], "/new")] == [
        "make it",
        "if the kernel or the file system refuses: make another (owner 1)",
        "make it",
    ]


def explain(settings: Settings, tmp_path: Path, **given: Any) -> Sequence[str]:
    """Return the explanation of a driver that shares nothing with those of other tests."""
    environ = {**settings.environ, "LIBCONTAINER_RUN_DIR": str(tmp_path / "run")}
    driver = LibcontainerDriver(settings._replace(environ=environ))
    one = Release(app="app", version=1, slug=Slug("/srv/shop"))
    spec = dyno_spec(one, DynoName("web", 1), Command(("true",)), port=5000)
    return driver.explain(spec._replace(**given))


def test_cgroups_network_and_files_are_told_in_the_order_in_which_they_are_made(
    settings: Settings, tmp_path: Path
) -> None:
    found = explain(settings, tmp_path)
    firsts = ("make the cgroup ", "on the host: ", "in the dyno: ", "make the host's mounts ")
    numbers = [next(n for n, one in enumerate(found) if one.startswith(each)) for each in firsts]
    assert numbers == sorted(numbers)
    assert found[-1].startswith("change to the new root")


def test_nothing_is_made_or_leased_for_it(settings: Settings, tmp_path: Path) -> None:
    explain(settings, tmp_path)
    assert not (tmp_path / "run").exists()


def test_stack_slug_and_binds_are_those_of_the_dyno(
    settings: Settings, stack: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    binds = (
        Bind(tmp_path, Path("/bin/data")),
        Bind(tmp_path / "file", Path("/etc/own"), read_only=True),
    )
    found = explain(settings, tmp_path, binds=binds)
    assert any(f":{stack})" in one for one in found if one.startswith("mount the stack at /"))
    assert any(one.startswith("attach /srv/shop") for one in found)
    assert f"make a mount point for {tmp_path} at /usr/bin/data" in found  # a link of the stack's
    assert f"make a mount point for {tmp_path}/file at /etc/own (an empty file)" in found
    assert [one for one in found if one.startswith("bind /") and " at /sys" not in one] == [
        f"bind {tmp_path} at /bin/data",
        f"bind {tmp_path}/file at /etc/own",
    ]


def test_a_stack_that_is_not_here_is_told_as_one_to_be_pulled(
    settings: Settings, tmp_path: Path
) -> None:
    environ = {**settings.environ, "HSUP_STACKS_DIR": str(tmp_path / "none")}
    found = explain(settings._replace(environ=environ), tmp_path)
    assert any("heroku-24, which is pulled first" in one for one in found)


def test_the_size_limits_memory_and_scratch(settings: Settings, tmp_path: Path) -> None:
    found = explain(settings, tmp_path, size="standard-2x")
    assert any("1073741824" in one for one in found)
    assert any("mount tmpfs at /tmp (" in one and f"size={512 << 20}," in one for one in found)


HAS_USER_NAMESPACES = any(
    one.is_good for one in requirements.examine() if one.subject == "user namespaces"
)


@pytest.mark.parametrize(
    ("release", "is_idmapped"), [("6.1.0", HAS_USER_NAMESPACES), ("5.18.0-1-amd64", False)]
)
def test_where_the_kernel_maps_no_ids_files_are_given_one_by_one(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    is_idmapped: bool,
) -> None:
    name = os.uname()
    like = os.uname_result((*name[:2], release, *name[3:]))
    monkeypatch.setattr(os, "uname", lambda: like)
    found = explain(settings, tmp_path)
    assert any("(idmapped" in one for one in found) == is_idmapped
    given = [one for one in found if "give each file of the slug" in one]
    assert [one.startswith("give ") for one in given] == [not is_idmapped]
