"""The kinds of steps that make a dyno's file systems: values, which do nothing themselves.

`does` says in words what a step does; an error message is "cannot" and these words.

Annotations are not strings here: with strings a named tuple takes half as long again to make.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hsup_driver_libcontainer.child.plan import BindMount


class Mount(NamedTuple):
    """Mount something, or change a mount, see man 2 mount."""

    does: str
    source: str
    target: str
    filesystem: str = ""
    flags: int = 0
    data: str = ""


class MountPoint(NamedTuple):
    """Make a directory or an empty file, and its parents, unless it exists.

    `owner` becomes the owner of all that is made.
    """

    does: str
    path: str
    is_directory: bool = True
    owner: int = 0


class File(NamedTuple):
    """Write a file, after making its directory."""

    does: str
    path: str
    content: str


class Device(NamedTuple):
    """Make a character device that every user may read and write."""

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
    """Copy the mounts at a path of the host; the copy is invisible until it is attached.

    `flags` are those of open_tree(2); `attributes` those of mount_setattr(2), 0 to set none.
    """

    does: str
    bind: BindMount
    flags: int
    attributes: int


class AttachBind(NamedTuple):
    """Attach the next of the opened copies, in the order in which they were opened.

    If the dyno can write to its directory, the mount point is made, with `owner` as its owner.
    `remount` are the flags of a mount that got no attributes when it was opened, else 0.
    """

    does: str
    bind: BindMount
    owner: int
    remount: int


class AttachSlug(NamedTuple):
    """Attach the directory of the slug; `is_idmapped` shows its files as the dyno's user's."""

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
    """Cover a file with a device, or a directory with an empty mount, if it exists.

    `flags` are those of the empty mount.
    """

    does: str
    path: str
    device: str
    flags: int


class Protect(NamedTuple):
    """Make a file or a directory a read-only mount of its own, if it exists.

    `flags` are the further flags of that mount.
    """

    does: str
    path: str
    flags: int


class ChangeRoot(NamedTuple):
    """Make a directory the root, and unmount the host's file systems."""

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
    """Steps that not every kernel and file system supports, and what to do `instead`.

    `refusals` are the errno values that mean so.
    """

    steps: Sequence[Step]
    refusals: Collection[int]
    instead: Sequence[Step]


Steps = Sequence[Step | Choice]
