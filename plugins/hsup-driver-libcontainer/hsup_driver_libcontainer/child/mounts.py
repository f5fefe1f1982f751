"""Carry out the steps that make a dyno's file systems, in a mount namespace of its own.

`mount_steps` says which ones, and why in this order.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from hsup_driver_libcontainer.child import kernel
from hsup_driver_libcontainer.child.kernel import MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT
from hsup_driver_libcontainer.child.owner import Owner
from hsup_driver_libcontainer.child.paths import is_writable
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


class FileSystems:
    """The file systems of one dyno while they are being made."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._trees: list[int] = []
        self.has_copied_owner = False

    def make(self, steps: Steps) -> None:
        """Carry out all steps. Raises OSError that names the step that failed."""
        self._take(steps)
        self._owner.end()

    def _take(self, steps: Steps) -> None:
        for step in steps:
            if isinstance(step, Choice):
                self._choose(step)
                continue
            try:
                self._do(step)
            except OSError as error:
                cause = error.strerror or str(error)
                raise OSError(error.errno, cause, f"cannot {step.does}") from error

    def _choose(self, choice: Choice) -> None:
        try:
            self._take(choice.steps)
        except OSError as error:
            if error.errno not in choice.refusals:
                raise
            self._take(choice.instead)

    def _do(self, step: Step) -> None:
        match step:
            case OpenBind():
                self._trees.append(_open_bind(step))
            case AttachBind():
                _attach_bind(self._trees.pop(0), step)
            case AttachSlug():
                self._attach_slug(step)
            case GiveFiles():
                _give_all(step.path, os.stat(step.slug).st_uid, step.user)
                self.has_copied_owner = True
            case ChangeRoot():
                _change_root(step.path)
            case _:
                _make(step)

    def _attach_slug(self, step: AttachSlug) -> None:
        tree = _open_slug(step.directory)
        try:
            if step.is_idmapped:
                self._owner.own(tree)
            kernel.move_mount(tree, step.target)
        finally:
            os.close(tree)


def _make(step: Mount | MountPoint | File | Device | Link | Hide | Protect) -> None:
    match step:
        case Mount(_, source, target, kind, flags, data):
            kernel.mount(source, target, kind, flags, data)
        case MountPoint(_, path, is_directory, owner):
            _make_place(path, is_directory=is_directory, owner=owner)
        case File(_, path, content):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write(path, content)
        case Device():
            os.mknod(step.path, stat.S_IFCHR, os.makedev(step.major, step.minor))
            os.chmod(step.path, 0o666)  # noqa: S103 - as on every Linux system
        case Link(_, path, target):
            os.symlink(target, path)
        case Hide():
            _hide(step)
        case Protect():
            _protect(step)


def _open_bind(step: OpenBind) -> int:
    """Return a copy of the mounts at a host path, with their attributes set before it is used."""
    tree = kernel.open_tree(step.bind.host, step.flags)
    if step.attributes:
        kernel.mount_setattr(tree, step.attributes, flags=kernel.AT_RECURSIVE)
    return tree


def _attach_bind(tree: int, step: AttachBind) -> None:
    """Attach an opened copy; symbolic links cannot lead out of the dyno's root by now."""
    target = os.path.realpath(step.bind.dyno)
    is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
    if is_writable(target):
        _make_place(target, is_directory=is_directory, owner=step.owner)
    if is_directory != os.path.isdir(target):
        kinds = ("directory", "file") if is_directory else ("file", "directory")
        text = f"the source is a {kinds[0]}, the target is a {kinds[1]}"
        raise OSError(errno.EINVAL, text, target)
    kernel.move_mount(tree, target)
    if step.remount:
        kernel.mount("none", target, flags=step.remount)
    os.close(tree)


def _open_slug(directory: str) -> int:
    flags = kernel.OPEN_TREE_CLONE | kernel.OPEN_TREE_CLOEXEC
    tree = kernel.open_tree(_path_of(directory), flags)
    _require_same(directory, os.fstat(tree))
    return tree


def _path_of(directory: str) -> str:
    """Return the current path of a directory that hsup may hold open (hsup.slugs.Unpacked).

    A directory of another mount namespace can only be mounted by its path.
    """
    is_open = directory.startswith("/proc/") and os.path.islink(directory)
    return os.readlink(directory) if is_open else directory


def _require_same(directory: str, opened: os.stat_result) -> None:
    """Raise OSError if the path of a directory leads to another one by now."""
    if not os.path.samestat(os.stat(directory), opened):
        raise OSError(errno.ESTALE, "another directory has just replaced it", _path_of(directory))


def _make_place(path: str, *, is_directory: bool, owner: int) -> None:
    """Make a directory or an empty file, and its parents, unless it exists."""
    if os.path.exists(path):
        return
    _make_place(os.path.dirname(path), is_directory=True, owner=owner)
    if is_directory:
        os.mkdir(path)
    else:
        _write(path, "")
    os.chown(path, owner, owner)


def _write(path: str, content: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)


def _hide(step: Hide) -> None:
    if os.path.isdir(step.path):
        kernel.mount("tmpfs", step.path, "tmpfs", step.flags, "size=0k")
    elif os.path.exists(step.path):
        kernel.mount(step.device, step.path, flags=MS_BIND)


def _protect(step: Protect) -> None:
    if os.path.exists(step.path):
        kernel.mount(step.path, step.path, flags=MS_BIND | MS_REC)
        kernel.mount("none", step.path, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | step.flags)


def _change_root(path: str) -> None:
    os.chdir(path)
    kernel.pivot_root(".", ".")
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")


def _give_all(directory: str, owner: int, uid: int) -> None:
    """Give a user what belongs to an owner, with the same result as an idmapped mount."""
    for _, directories, files, here in os.fwalk(directory):
        for name in (*directories, *files):
            with suppress(FileNotFoundError):  # a directory of the host may change meanwhile
                if os.stat(name, dir_fd=here, follow_symlinks=False).st_uid == owner:
                    os.chown(name, uid, uid, dir_fd=here, follow_symlinks=False)
