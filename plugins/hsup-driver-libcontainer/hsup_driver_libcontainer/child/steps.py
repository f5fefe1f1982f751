"""The kinds of steps that a dyno's file systems are made in: values, which do nothing.

`does` says in words what a step does. They can follow "cannot", as its error has it.

Annotations are not strings here, which would take a named tuple half as long again to make.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hsup_driver_libcontainer.child.plan import BindMount


class Mount(NamedTuple):
    """Mount something, or change a mount, see man 2 mount."""

    does: str
    source: str
    target: str
    kind: str = ""
    flags: int = 0
    data: str = ""


class MountPoint(NamedTuple):
    """Make a directory or an empty file, and what it is in, unless it is there.

    All that is made belongs to `owner`.
    """

    does: str
    path: str
    is_directory: bool = True
    owner: int = 0


class File(NamedTuple):
    """Write a file, having made the directory that it is in."""

    does: str
    path: str
    content: str


class Device(NamedTuple):
    """Make a character device that everybody may read from and write to."""

    does: str
    path: str
    major: int
    minor: int


class Link(NamedTuple):
    """Make a symbolic link."""

    does: str
    path: str
    target: str


class OpenBind(NamedTuple):
    """Copy what is mounted at a path of the host, where nobody sees it until it is attached.

    `flags` are those of open_tree(2); `attributes` those of mount_setattr(2), 0 to set none.
    """

    does: str
    bind: BindMount
    flags: int
    attributes: int


class AttachBind(NamedTuple):
    """Attach the copy that was opened first of those that are left.

    Where the dyno may write, the place for it is made and belongs to `owner`. `remount` are
    the flags of a mount that got no attributes when it was opened, 0 for one that did.
    """

    does: str
    bind: BindMount
    owner: int
    remount: int


class AttachSlug(NamedTuple):
    """Attach the directory with the slug; `is_idmapped` has the dyno's user own its files."""

    does: str
    directory: str
    target: str
    is_idmapped: bool


class GiveFiles(NamedTuple):
    """Give a user what belongs to the owner of the slug, file by file."""

    does: str
    path: str
    slug: str
    user: int


class Hide(NamedTuple):
    """Cover a file with a device, or a directory with an empty one; nothing if it is not there.

    `flags` are those of the empty one, which is a mount.
    """

    does: str
    path: str
    device: str
    flags: int


class Protect(NamedTuple):
    """Make a file or a directory a read-only mount of its own, if it is there.

    `flags` are what that mount has besides.
    """

    does: str
    path: str
    flags: int


class ChangeRoot(NamedTuple):
    """Have a directory for the root, and nothing of the host's any more."""

    does: str
    path: str


Step = (
    Mount
    | MountPoint
    | File
    | Device
    | Link
    | OpenBind
    | AttachBind
    | AttachSlug
    | GiveFiles
    | Hide
    | Protect
    | ChangeRoot
)


class Choice(NamedTuple):
    """Steps that not every kernel and file system knows, and what to do `instead`.

    They are refused with one of the errors that `refusals` has the numbers of.
    """

    steps: Sequence[Step]
    refusals: Collection[int]
    instead: Sequence[Step]


Steps = Sequence[Step | Choice]
