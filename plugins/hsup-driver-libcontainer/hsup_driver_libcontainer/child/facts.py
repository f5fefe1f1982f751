"""What is looked at before it can be said which steps make a dyno's file systems.

Annotations are not strings, as in `steps`.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hsup_driver_libcontainer.child import kernel, users
from hsup_driver_libcontainer.child.paths import resolve
from hsup_driver_libcontainer.child.plan import BindMount, ContainerPlan


class BindTarget(NamedTuple):
    """A bind, and where in the stack its path leads, links followed.

    `is_directory` tells what is to be mounted there.
    """

    bind: BindMount
    path: str
    is_directory: bool


class Facts(NamedTuple):
    """What kernel, host and stack are like, as far as the steps depend on it.

    `users` are the files of the stack that tell who is who, with the dyno's user in them.
    `has_mount_setattr` tells whether the kernel knows that call (Linux 5.12), and
    `may_map_ids` whether it makes sense to ask it for idmapped mounts.
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
