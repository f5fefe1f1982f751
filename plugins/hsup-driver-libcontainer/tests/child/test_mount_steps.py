"""The planned steps, which need neither root nor a dyno."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

import pytest

from hsup_driver_libcontainer.child.facts import BindTarget, Facts
from hsup_driver_libcontainer.child.kernel import (
    AT_RECURSIVE,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
)
from hsup_driver_libcontainer.child.mount_steps import steps
from hsup_driver_libcontainer.child.plan import BindMount, ContainerPlan, Terminal
from hsup_driver_libcontainer.child.steps import (
    AttachBind,
    AttachSlug,
    ChangeRoot,
    Choice,
    Device,
    File,
    GiveFiles,
    Hide,
    Mount,
    MountPoint,
    OpenBind,
    Protect,
)

STAGE, ROOT, UID = "/run/stage", "/run/stage/root", 3007
SAFE = MS_NOSUID | MS_NODEV
SAFEST = SAFE | MS_NOEXEC

PLAN = ContainerPlan(
    name="web.1",
    stack="/stacks/debian",
    app="/slugs/one",
    files={"/etc/hosts": "127.0.0.1\tlocalhost\n", "/etc/passwd": "of nobody\n"},
    binds=(),
    scratch_bytes=1000,
    cgroup_binds=(),
    cgroup_files=(),
)
FACTS = Facts(
    users={"/etc/passwd": "dyno:x:3007:3007:dyno:/app:/bin/bash\n"},
    targets=(),
    has_mount_setattr=True,
    may_map_ids=True,
)
V1: dict[str, Any] = {
    "cgroup_binds": (
        ("/sys/fs/cgroup/memory/hsup-1/3007", "memory"),
        ("/sys/fs/cgroup/cpu,cpuacct/hsup-1/3007", "cpu"),
    )
}
V2: dict[str, Any] = {
    "cgroup_binds": (("/sys/fs/cgroup/hsup-1/3007", ""),),
    "cgroup_files": (("memory/memory.limit_in_bytes", "536870912\n"),),
}
DATA = BindMount("/srv/data", "/mnt/data", read_only=False)
SECRET = BindMount("/srv/secret", "/run/secret", read_only=True)


def told(facts: Facts = FACTS, **changes: Any) -> list[Any]:
    """Return the steps of a plan, with the first alternative of each choice."""
    flat: list[Any] = []
    for step in steps(PLAN._replace(**changes), UID, STAGE, facts):
        flat.extend([*step.steps, *step.instead] if isinstance(step, Choice) else [step])
    return flat


def bound(*binds: BindMount, has_mount_setattr: bool = True) -> list[Any]:
    """Return the steps of a plan with binds; in this stack no path is a link."""
    targets = [BindTarget(one, one.dyno, is_directory=one is DATA) for one in binds]
    facts = FACTS._replace(targets=targets, has_mount_setattr=has_mount_setattr)
    return told(facts, binds=binds)


def of(kind: type, found: Iterable[object]) -> list[Any]:
    return [one for one in found if isinstance(one, kind)]


def at(target: str, found: Iterable[object]) -> list[Mount]:
    """Return the mounts at a target within the root, in order."""
    return [one for one in of(Mount, found) if one.target == f"{ROOT}{target}"]


def test_nothing_of_the_host_arrives_from_the_first_step_on() -> None:
    first = told()[0]
    assert first[1:] == ("none", "/", "", MS_REC | MS_PRIVATE, "")


def test_the_root_is_changed_last_of_all_but_the_binds() -> None:
    found = bound(DATA, SECRET)
    changed = found.index(*of(ChangeRoot, found))
    assert found[changed].path == ROOT
    assert [type(one) for one in found[changed + 1 :]] == [AttachBind, AttachBind]


def test_the_root_is_a_read_only_overlay_of_own_files_above_the_stack() -> None:
    (root,) = at("", told())
    assert root.does == "mount the stack at /"
    assert root[3:] == ("overlay", SAFE | MS_RDONLY, f"lowerdir={STAGE}/files:/stacks/debian")


def test_files_of_the_plan_and_the_stacks_users_are_beneath_it() -> None:
    files = {one.path: one.content for one in of(File, told())}
    assert files == {f"{STAGE}/files/etc/hosts": PLAN.files["/etc/hosts"]} | {
        f"{STAGE}/files{path}": content for path, content in FACTS.users.items()
    }


def test_no_file_system_of_a_dyno_but_the_devices_has_devices_or_heeds_set_id() -> None:
    mounts = [one for one in told(**V2) if isinstance(one, Mount) and one.filesystem]
    assert len(mounts) > 10
    assert {one.target for one in mounts if one.flags & SAFE != SAFE} == {
        f"{ROOT}/dev",
        f"{ROOT}/dev/pts",
    }
    assert all(one.flags & MS_NOSUID for one in mounts)


def test_there_are_few_devices_and_no_disk() -> None:
    devices = {one.path.removeprefix(ROOT): one[2:] for one in of(Device, told())}
    assert devices == {
        "/dev/null": (1, 3),
        "/dev/zero": (1, 5),
        "/dev/full": (1, 7),
        "/dev/random": (1, 8),
        "/dev/urandom": (1, 9),
        "/dev/tty": (5, 0),
    }


def test_what_docker_hides_of_the_kernel_is_hidden_and_the_same_is_read_only() -> None:
    found = told()
    hidden = {one.path.removeprefix(ROOT) for one in of(Hide, found)}
    assert {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"} <= hidden
    protected = {one.path.removeprefix(ROOT) for one in of(Protect, found)}
    assert protected == {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
    assert {one.flags for one in of(Hide, found)} == {SAFEST | MS_RDONLY}
    assert {one.flags for one in of(Protect, found)} == {SAFEST}
    assert {one.device for one in of(Hide, found)} == {f"{ROOT}/dev/null"}
    last = max(found.index(one) for one in (*at("/proc", found), *at("/sys", found)[:1]))
    assert last < found.index(of(Hide, found)[0])


@pytest.mark.parametrize("size", [4096, 1 << 30])
def test_what_a_dyno_writes_is_limited_by_its_scratch_size(size: int) -> None:
    found = told(scratch_bytes=size)
    for target in ("/dev/shm", "/tmp", "/var/tmp"):
        (mount,) = at(target, found)
        assert mount[3:] == ("tmpfs", SAFE, f"size={size},mode=1777")
    (upper,) = [one for one in of(Mount, found) if one.target == f"{STAGE}/scratch"]
    assert upper.data == f"size={size},mode=755"
    (app,) = at("/app", told(app=None, scratch_bytes=size))
    assert app[3:] == ("tmpfs", SAFE, f"size={size},mode=755,uid={UID},gid={UID}")


class TestSlug:
    def test_it_is_idmapped_or_else_each_file_is_given(self) -> None:
        (choice,) = of(Choice, steps(PLAN, UID, STAGE, FACTS))
        attached, mounted = choice.steps
        assert attached == AttachSlug(attached.does, "/slugs/one", f"{STAGE}/slug", True)
        assert mounted[1:3] == ("overlay", f"{ROOT}/app")
        assert "metacopy" not in mounted.data
        assert set(choice.refusals) == {errno.EOPNOTSUPP, errno.EINVAL}
        copied = choice.instead
        assert copied[0] == AttachSlug(copied[0].does, "/slugs/one", f"{STAGE}/slug", False)
        assert copied[1].data == f"{mounted.data},metacopy=on"
        assert copied[2] == GiveFiles(copied[2].does, f"{ROOT}/app", f"{STAGE}/slug", UID)

    def test_each_file_is_given_at_once_where_no_mount_is_idmapped(self) -> None:
        found = steps(PLAN, UID, STAGE, FACTS._replace(may_map_ids=False))
        assert not of(Choice, found)
        (attached,) = of(AttachSlug, found)
        assert not attached.is_idmapped
        assert of(GiveFiles, found)

    def test_what_the_dyno_writes_is_above_it_and_belongs_to_the_dyno(self) -> None:
        found = told()
        owned = {one.path for one in of(MountPoint, found) if one.owner}
        assert owned == {f"{STAGE}/scratch/upper", f"{STAGE}/scratch/work"}
        assert {one.owner for one in of(MountPoint, found)} == {0, UID}
        layers = (
            f"lowerdir={STAGE}/slug,upperdir={STAGE}/scratch/upper,workdir={STAGE}/scratch/work"
        )
        assert at("/app", found)[0].data == layers

    def test_a_release_without_one_has_an_empty_app(self) -> None:
        found = told(app=None)
        assert not of(AttachSlug, found)
        assert not of(GiveFiles, found)
        assert [one.filesystem for one in at("/app", found)] == ["tmpfs"]


class TestBinds:
    def test_all_below_a_path_is_copied_without_set_id_and_devices(self) -> None:
        (opened,) = of(OpenBind, bound(DATA))
        assert opened.bind == DATA
        assert opened.flags & AT_RECURSIVE
        assert opened.attributes == MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV

    def test_one_for_reading_only_is_read_only_before_it_is_attached(self) -> None:
        found = bound(SECRET)
        (opened,) = of(OpenBind, found)
        assert opened.attributes == MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY
        (attached,) = of(AttachBind, found)
        assert not attached.remount

    @pytest.mark.parametrize(("bind", "more"), [(DATA, 0), (SECRET, MS_RDONLY)])
    def test_before_linux_5_12_only_the_path_itself_is_copied_and_remounted(
        self, bind: BindMount, more: int
    ) -> None:
        found = bound(bind, has_mount_setattr=False)
        (opened,) = of(OpenBind, found)
        assert not opened.flags & AT_RECURSIVE
        assert not opened.attributes
        (attached,) = of(AttachBind, found)
        assert attached.remount == MS_REMOUNT | MS_BIND | SAFE | more

    def test_they_are_attached_in_the_order_in_which_they_were_opened(self) -> None:
        found = bound(SECRET, DATA)
        assert [one.bind for one in of(OpenBind, found)] == [SECRET, DATA]
        assert [one.bind for one in of(AttachBind, found)] == [SECRET, DATA]

    def test_they_are_opened_while_the_hosts_files_are_there_and_all_mounts_private(self) -> None:
        found = bound(DATA)
        opened = found.index(*of(OpenBind, found))
        assert 0 < opened < found.index(*of(ChangeRoot, found))

    def test_a_mount_point_is_made_above_the_stack(self) -> None:
        found = bound(DATA, SECRET)
        places = {one.path: one for one in of(MountPoint, found)}
        assert places[f"{STAGE}/files/mnt/data"].is_directory
        assert not places[f"{STAGE}/files/run/secret"].is_directory
        assert {places[f"{STAGE}/files{one.dyno}"].owner for one in (DATA, SECRET)} == {0}

    def test_it_is_made_where_links_of_the_stack_lead(self) -> None:
        targets = [BindTarget(DATA, "/usr/mnt/data", is_directory=True)]
        found = told(FACTS._replace(targets=targets), binds=(DATA,))
        paths = {one.path for one in of(MountPoint, found)}
        assert f"{STAGE}/files/usr/mnt/data" in paths
        assert f"{STAGE}/files/mnt/data" not in paths

    @pytest.mark.parametrize("dyno", ["/app/data", "/tmp/data", "/var/tmp/data", "/dev/data"])
    def test_none_is_made_above_the_stack_where_the_dyno_may_write(self, dyno: str) -> None:
        bind = DATA._replace(dyno=dyno)
        found = bound(bind)
        assert f"{STAGE}/files{dyno}" not in {one.path for one in of(MountPoint, found)}
        assert [one.owner for one in of(AttachBind, found)] == [UID]


class TestCgroups:
    def test_each_hierarchy_of_version_1_is_bound_and_read_only(self) -> None:
        found = told(**V1)
        for directory, name in V1["cgroup_binds"]:
            bind, remount = at(f"/sys/fs/cgroup/{name}", found)
            assert bind[1:] == (directory, f"{ROOT}/sys/fs/cgroup/{name}", "", MS_BIND, "")
            assert remount.flags == MS_REMOUNT | MS_BIND | MS_RDONLY | SAFEST

    def test_the_hierarchy_of_version_2_is_bound_over_all(self) -> None:
        found = told(**V2)
        kinds = [(one.filesystem, one.flags) for one in at("/sys/fs/cgroup", found)]
        read_only = ("", MS_REMOUNT | MS_BIND | MS_RDONLY | SAFEST)
        assert kinds == [("tmpfs", SAFEST), ("", MS_BIND), read_only, read_only]

    def test_a_file_of_version_1_is_in_memory_within_version_2(self) -> None:
        found = told(**V2)
        mounted, remounted = at("/sys/fs/cgroup/memory", found)
        path = f"{ROOT}/sys/fs/cgroup/memory/memory.limit_in_bytes"
        (file,) = [one for one in of(File, found) if one.path == path]
        assert file.content == "536870912\n"
        order = [found.index(one) for one in (mounted, file, remounted)]
        assert order == sorted(order)
        assert remounted.flags & MS_RDONLY

    @pytest.mark.parametrize("view", [V1, V2])
    def test_sys_is_read_only_in_the_end(self, view: dict[str, Any]) -> None:
        found = told(**view)
        last = [one for one in of(Mount, found) if "/sys" in one.target][-1]
        assert last.target == f"{ROOT}/sys"
        assert last.flags & MS_RDONLY


@pytest.mark.parametrize(
    "changes",
    [
        {"terminal": Terminal((0, 1, 2), 24, 80)},
        {"terminal": Terminal((2,), 0, 0)},
        {"name": "run.4711"},
    ],
)
def test_a_console_has_the_file_systems_of_any_other_dyno(changes: dict[str, Any]) -> None:
    assert told(**changes) == told()


def test_an_own_network_is_seen_by_its_files_alone() -> None:
    files = {**PLAN.files, "/etc/hosts": "172.16.0.30\tweb\n", "/etc/resolv.conf": "\n"}
    changed = [one for one in told(files=files) if one not in told()]
    paths = [f"{STAGE}/files/etc/hosts", f"{STAGE}/files/etc/resolv.conf"]
    assert [(type(one), one.path) for one in changed] == [(File, path) for path in paths]


@pytest.mark.parametrize("view", [V1, V2])
@pytest.mark.parametrize("app", [None, "/slugs/one"])
def test_every_step_says_what_it_does_in_words_of_its_own(
    view: dict[str, Any], app: str | None
) -> None:
    facts = FACTS._replace(targets=[BindTarget(DATA, DATA.dyno, is_directory=True)])
    found = [one.does for one in told(facts, binds=(DATA,), app=app, **view)]
    assert [one for one in found if len(one.split()) < 2 or one[0].isupper()] == []
    twice = {one for one in found if found.count(one) > 1}
    assert twice <= {
        "make /sys/fs/cgroup read-only",  # that of version 2, and what it is mounted on
        "mount the slug at /app",  # one way or the other
    }
