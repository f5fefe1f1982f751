"""Look at what the steps that make a dyno's file systems depend on.

Annotations are not strings, as in `steps`.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hsup_driver_libcontainer.child import kernel, users
from hsup_driver_libcontainer.child.paths import resolve
from hsup_driver_libcontainer.child.plan import BindMount, ContainerPlan


class BindTarget(NamedTuple):
    """A bind, and the path in the stack that its target leads to, with symbolic links followed.

    `is_directory` tells whether a directory or a file is mounted there.
    """

    bind: BindMount
    path: str
    is_directory: bool


class Facts(NamedTuple):
    """What the steps depend on in the kernel, the host and the stack.

    `users` are the contents of /etc/passwd and /etc/group, with the dyno's user added.
    `has_mount_setattr` tells whether the kernel has that call (Linux 5.12), and
    `may_map_ids` whether idmapped mounts are worth a try.
    """

    users: Mapping[str, str]
    targets: Sequence[BindTarget]
    has_mount_setattr: bool
    may_map_ids: bool


def look(plan: ContainerPlan, uid: int) -> Facts:
    """Return what the steps of a plan depend on. Raises OSError."""
    has_mount_setattr = kernel.has_mount_setattr()
    return Facts(
        users=users.files(plan.stack, uid),
        targets=[_target(plan.stack, bind) for bind in plan.binds],
        has_mount_setattr=has_mount_setattr,
        may_map_ids=has_mount_setattr,
    )


def _target(stack: str, bind: BindMount) -> BindTarget:
    try:
        path = resolve(stack, bind.dyno)
    except OSError as error:
        what = f"cannot find {bind.dyno} in the stack"
        raise OSError(error.errno, error.strerror, what) from error
    return BindTarget(bind, path, os.path.isdir(bind.host))
