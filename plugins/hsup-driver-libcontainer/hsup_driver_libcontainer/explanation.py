"""Describe how the file systems of a dyno are made, for `hsup doctor --explain`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from hsup_driver_libcontainer import requirements
from hsup_driver_libcontainer.child import facts, kernel
from hsup_driver_libcontainer.child.mount_steps import steps
from hsup_driver_libcontainer.child.plan import ContainerPlan
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
from hsup_driver_libcontainer.rootfs import mount_point
from hsup_driver_libcontainer.stacks.store import StackStore

#: The names that man 8 mount uses.
_MOUNT_FLAGS = {
    kernel.MS_REMOUNT: "remount",
    kernel.MS_BIND: "bind",
    kernel.MS_REC: "recursive",
    kernel.MS_PRIVATE: "private",
    kernel.MS_RDONLY: "ro",
    kernel.MS_NOSUID: "nosuid",
    kernel.MS_NODEV: "nodev",
    kernel.MS_NOEXEC: "noexec",
}
_ATTRIBUTES = {
    kernel.MOUNT_ATTR_RDONLY: "ro",
    kernel.MOUNT_ATTR_NOSUID: "nosuid",
    kernel.MOUNT_ATTR_NODEV: "nodev",
}
_OR_ELSE = "if the kernel or the file system refuses"


def stack_root(stacks: StackStore, wanted: str | None, images: str) -> str:
    """Return the root of a stack, or its name if it is not installed. Raises DriverError."""
    stack = stacks.look(wanted)
    if stack is None:
        return f"({stacks.catalogue.find(wanted)}, which is pulled first)"
    with stack:
        return stack.directory or mount_point(stack, images)


def of_file_systems(plan: ContainerPlan, uid: int, stage: str) -> Iterator[str]:
    """Yield the steps of a plan on this machine, in words."""
    seen = facts.look(plan, uid)
    may_map_ids = seen.may_map_ids and requirements.may_map_ids()
    return told(steps(plan, uid, stage, seen._replace(may_map_ids=may_map_ids)), f"{stage}/root")


def told(steps: Steps, root: str) -> Iterator[str]:
    """Yield steps in words, both alternatives of each choice; `root` is where the root is built."""
    for step in steps:
        if isinstance(step, Choice):
            yield from (_told(one, root) for one in step.steps)
            yield from (f"{_OR_ELSE}: {_told(one, root)}" for one in step.instead)
        else:
            yield _told(step, root)


def _told(step: Step, root: str) -> str:
    details = ", ".join(filter(None, _details(step, root)))
    return f"{step.does} ({details})" if details else step.does


def _details(step: Step, root: str) -> Iterator[str]:
    match step:
        case Mount(does, _, _, what, flags, data):
            yield what if what not in does.split() else ""
            yield from _names(flags, _MOUNT_FLAGS)
            yield data
        case MountPoint() | File() | Device() | Link():
            yield _of_file(step)
        case OpenBind(_, _, flags, attributes):
            yield "recursive" if flags & kernel.AT_RECURSIVE else "without the mounts below it"
            yield from _names(attributes, _ATTRIBUTES)
        case AttachBind():
            yield from _names(step.remount, _MOUNT_FLAGS)
        case AttachSlug():
            yield "idmapped, nosuid, nodev" if step.is_idmapped else ""
        case Hide() | Protect():
            yield from _of_kernel(step, step.path.removeprefix(root))
        case GiveFiles():
            yield f"user {step.user}"
        case ChangeRoot():
            yield step.path


def _of_file(step: MountPoint | File | Device | Link) -> str:
    match step:
        case MountPoint(_, _, is_directory, owner):
            what = "" if is_directory else "an empty file"
            return f"owner {owner}" if owner else what
        case File():
            return f"{len(os.fsencode(step.content))} bytes"
        case Device():
            return f"{step.major}:{step.minor}"
        case Link():
            return f"to {step.target}"


def _of_kernel(step: Hide | Protect, path: str) -> Iterator[str]:
    """Yield what is done to a file of the kernel, as far as this /proc shows it."""
    if not os.path.exists(path):
        yield "not on this machine"
    elif isinstance(step, Protect):
        yield from _names(kernel.MS_BIND | kernel.MS_RDONLY | step.flags, _MOUNT_FLAGS)
    elif os.path.isdir(path):
        yield "an empty directory"
        yield from _names(step.flags, _MOUNT_FLAGS)
    else:
        yield "/dev/null"


def _names(flags: int, names: Mapping[int, str]) -> Iterator[str]:
    return (name for flag, name in names.items() if flags & flag)
