"""Plan all steps that make the file systems of a dyno, before the first one is taken.

Everything is made on memory file systems beneath one directory of the host, which stays
empty for all other processes, so nothing has to be removed afterwards. The root is a
read-only overlay of a few generated files above the stack, /app an overlay of memory above
the unpacked slug.

The dyno's builder plans them, and not hsup: a stack may be a disk image, which only the
zygote and its children see, and planning takes a tenth of a millisecond, less than sending
the steps. Nothing here looks at anything or changes anything.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from hsup_driver_libcontainer.child import kernel
from hsup_driver_libcontainer.child.facts import BindTarget, Facts
from hsup_driver_libcontainer.child.kernel import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
)
from hsup_driver_libcontainer.child.paths import is_writable
from hsup_driver_libcontainer.child.plan import BindMount, ContainerPlan
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
    Step,
    Steps,
)

_SAFE = MS_NOSUID | MS_NODEV
_SAFEST = _SAFE | MS_NOEXEC

#: Directories that a dyno has even if its stack lacks them.
_MOUNT_POINTS = ("app", "dev", "etc", "proc", "sys", "tmp", "var/tmp")

#: Major and minor numbers, from the kernel's admin-guide/devices.txt.
_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}

#: All dynos share 4096 terminals (kernel.pty.max).
_MOST_TERMINALS = 256

#: The paths of /proc and /sys that are hidden, and those that are read-only: the same as Docker's.
_MASKED = (
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
)
_READ_ONLY = ("proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger")

#: The errors of `Owner.own` without idmapped mounts, and of mount(2) without idmapped layers.
_NOT_IDMAPPED = (errno.EOPNOTSUPP, errno.EINVAL)


def steps(plan: ContainerPlan, uid: int, stage: str, facts: Facts) -> Steps:
    """Return the steps that make the root of a dyno, from an empty directory of the host to `/`."""
    root = f"{stage}/root"
    return (
        # Later mounts of the host below a bound directory must not appear here, see `_opened`.
        Mount("make the host's mounts private", "none", "/", flags=MS_REC | MS_PRIVATE),
        *_root(plan, stage, facts),
        _mount("proc", root, "proc", _SAFEST),
        *(_opened(bind, is_whole=facts.has_mount_setattr) for bind in plan.binds),
        *_devices(root),
        *_scratch(root, plan.scratch_bytes),
        *_sys(root, plan),
        *_hidden(root),
        *_app(plan, uid, stage, facts),
        ChangeRoot("change to the new root", root),
        *(_attached(bind, uid, is_whole=facts.has_mount_setattr) for bind in plan.binds),
    )


def _root(plan: ContainerPlan, stage: str, facts: Facts) -> Iterator[Step]:
    """Yield the steps that lay generated files and mount points over the stack."""
    yield Mount(f"mount tmpfs at {stage}", "tmpfs", stage, "tmpfs", _SAFE, "mode=755")
    for name in ("root", "slug", "scratch", *(f"files/{one}" for one in _MOUNT_POINTS)):
        yield _directory(f"{stage}/{name}")
    for path, content in {**plan.files, **facts.users}.items():
        yield File(f"write {path}", f"{stage}/files{path}", content)
    for target in facts.targets:
        yield from _mount_point(target, stage)
    layers = f"lowerdir={stage}/files:{plan.stack}"
    flags = _SAFE | MS_RDONLY
    yield Mount("mount the stack at /", "overlay", f"{stage}/root", "overlay", flags, layers)


def _mount_point(target: BindTarget, stage: str) -> Iterator[Step]:
    """Yield the step that makes the mount point of a bind in the layer above the stack.

    In a directory that the dyno can write to it is made when the bind is attached.
    """
    if not is_writable(target.path):
        does = f"make a mount point for {target.bind.host} at {target.path}"
        yield MountPoint(does, f"{stage}/files{target.path}", target.is_directory)


def _opened(bind: BindMount, *, is_whole: bool) -> OpenBind:
    """Return the step that copies the mounts at a host path and below it, nosuid and nodev.

    Before Linux 5.12 there is no mount_setattr to change them all: the copy is not whole
    then, as mounts below the path are left out, and it is changed when it is attached.
    """
    does = f"open {bind.host}"
    flags = kernel.OPEN_TREE_CLONE | kernel.OPEN_TREE_CLOEXEC
    if not is_whole:
        return OpenBind(does, bind, flags, attributes=0)
    attributes = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
    if bind.read_only:
        attributes |= kernel.MOUNT_ATTR_RDONLY
    return OpenBind(does, bind, flags | kernel.AT_RECURSIVE, attributes)


def _attached(bind: BindMount, uid: int, *, is_whole: bool) -> AttachBind:
    does = f"bind {bind.host} at {bind.dyno}"
    if is_whole:
        return AttachBind(does, bind, uid, remount=0)
    flags = MS_REMOUNT | MS_BIND | _SAFE | (MS_RDONLY if bind.read_only else 0)
    return AttachBind(does, bind, uid, remount=flags)


def _devices(root: str) -> Iterator[Step]:
    yield _mount("tmpfs", root, "dev", MS_NOSUID | MS_NOEXEC, "size=64k,mode=755")
    for name, numbers in _DEVICES.items():
        yield Device(f"make the device /dev/{name}", f"{root}/dev/{name}", *numbers)
    for name, target in _LINKS.items():
        yield Link(f"make the link /dev/{name}", f"{root}/dev/{name}", target)
    for name in ("pts", "shm", "mqueue"):
        yield _directory(f"{root}/dev/{name}", f"/dev/{name}")
    modes = f"newinstance,ptmxmode=0666,mode=0620,max={_MOST_TERMINALS}"
    yield _mount("devpts", root, "dev/pts", MS_NOSUID | MS_NOEXEC, modes)
    yield _mount("mqueue", root, "dev/mqueue", _SAFEST)


def _scratch(root: str, size_bytes: int) -> Iterator[Step]:
    for where in ("dev/shm", "tmp", "var/tmp"):
        yield _mount("tmpfs", root, where, _SAFE, f"size={size_bytes},mode=1777")


def _sys(root: str, plan: ContainerPlan) -> Iterator[Step]:
    yield _mount("sysfs", root, "sys", _SAFEST)
    cgroups = "sys/fs/cgroup"
    yield _mount("tmpfs", root, cgroups, _SAFEST, "size=64k,mode=755")
    for group, place in plan.cgroup_binds:
        where = f"{cgroups}/{place}".rstrip("/")
        yield _directory(f"{root}/{where}", f"/{where}")
        yield Mount(f"bind {group} at /{where}", group, f"{root}/{where}", flags=MS_BIND)
        yield _read_only(root, where)
    for place, content in plan.cgroup_files:
        path = f"{cgroups}/{place}"
        where = path.rpartition("/")[0]
        yield _directory(f"{root}/{where}", f"/{where}")
        yield _mount("tmpfs", root, where, _SAFEST, "size=64k,mode=755")
        yield File(f"write /{path}", f"{root}/{path}", content)
        yield _read_only(root, where)
    yield _read_only(root, cgroups)
    yield _read_only(root, "sys")


def _hidden(root: str) -> Iterator[Step]:
    """Yield the steps that cover and protect files of the kernel, for those that do not exist too.

    Only the dyno's own /proc shows which ones exist: the host's may be mounted with fewer.
    """
    for path in _MASKED:
        device = f"{root}/dev/null"
        yield Hide(f"hide /{path}", f"{root}/{path}", device, _SAFEST | MS_RDONLY)
    for path in _READ_ONLY:
        yield Protect(f"make /{path} read-only", f"{root}/{path}", _SAFEST)


def _app(plan: ContainerPlan, uid: int, stage: str, facts: Facts) -> Iterator[Step | Choice]:
    size = f"size={plan.scratch_bytes},mode=755"
    if plan.app is None:
        yield _mount("tmpfs", f"{stage}/root", "app", _SAFE, f"{size},uid={uid},gid={uid}")
        return
    scratch = f"{stage}/scratch"
    yield Mount(f"mount tmpfs at {scratch}", "tmpfs", scratch, "tmpfs", _SAFE, size)
    for name in ("upper", "work"):
        yield _directory(f"{scratch}/{name}", owner=uid)
    copied = tuple(_copied(plan.app, uid, stage))
    if facts.may_map_ids:
        yield Choice(tuple(_idmapped(plan.app, stage)), _NOT_IDMAPPED, copied)
    else:
        yield from copied


def _idmapped(app: str, stage: str) -> Iterator[Step]:
    """Yield the steps that mount the slug with the dyno's user as its owner.

    The kernel refuses the first before Linux 5.12, the second before 5.19: until then no
    layer of an overlay can be idmapped.
    """
    does = f"attach {app} with the dyno's user as its owner"
    yield AttachSlug(does, app, f"{stage}/slug", is_idmapped=True)
    yield _slug(stage)


def _copied(app: str, uid: int, stage: str) -> Iterator[Step]:
    """Yield the steps that mount the slug and give it to the dyno's user, file by file.

    If the idmapped mount is attached already, these go on top of it.
    """
    yield AttachSlug(f"attach {app}", app, f"{stage}/slug", is_idmapped=False)
    yield _slug(stage, ",metacopy=on")
    does = "give each file of the slug to the dyno's user"
    yield GiveFiles(does, f"{stage}/root/app", f"{stage}/slug", uid)


def _slug(stage: str, more: str = "") -> Mount:
    scratch = f"{stage}/scratch"
    layers = f"lowerdir={stage}/slug,upperdir={scratch}/upper,workdir={scratch}/work{more}"
    target = f"{stage}/root/app"
    return Mount("mount the slug at /app", "overlay", target, "overlay", _SAFE, layers)


def _mount(filesystem: str, root: str, where: str, flags: int, data: str = "") -> Mount:
    """Return the step that mounts a kernel file system in the dyno's root."""
    return Mount(
        f"mount {filesystem} at /{where}", filesystem, f"{root}/{where}", filesystem, flags, data
    )


def _read_only(root: str, where: str) -> Mount:
    """Return the step that makes a mount read-only; a bind ignores MS_RDONLY."""
    flags = MS_REMOUNT | MS_BIND | MS_RDONLY | _SAFEST
    return Mount(f"make /{where} read-only", "none", f"{root}/{where}", flags=flags)


def _directory(path: str, shown: str = "", owner: int = 0) -> MountPoint:
    return MountPoint(f"make the directory {shown or path}", path, owner=owner)
