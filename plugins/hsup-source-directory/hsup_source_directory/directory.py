"""Keep a control directory open, and look up all names in it, even after its path has changed."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsup.durable import sync, write_durably
from hsup.errors import SourceError
from hsup.locks import unlock
from hsup.model import Author, Fault
from hsup_source_directory import CONTROL_DIR
from hsup_source_directory.reading import (
    MAX_BYTES,
    find_obstacle,
    open_control_file,
    read_opened,
)

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EROFS: "mount the file system read-write",
    errno.EACCES: "allow hsup's user to read and write there",
    errno.EPERM: "allow hsup's user to read and write there",
}
_ROOT = 0
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Directory:
    """An open directory, which stays the same if a link in its path changes, or it is moved."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._found = os.fstat(descriptor)

    @property
    def _is_trusted(self) -> bool:
        """Tell whether only hsup's user and root can write to the directory."""
        is_own = self._found.st_uid in {_ROOT, os.geteuid()}
        return is_own and not self._found.st_mode & _OTHERS_MAY_WRITE

    @property
    def identity(self) -> tuple[int, int]:
        """Return device and inode, which no other directory at the same path has."""
        return self._found.st_dev, self._found.st_ino

    def find_wrong_owner(self, status: os.stat_result) -> Fault | None:
        """Return the fault of a file that belongs to a user who may not write releases, or None."""
        if status.st_uid in {self._found.st_uid, _ROOT, os.geteuid()}:
            return None
        expected = "the owner of the directory, hsup's user or root"
        return Fault("", f"must belong to {expected}, got the user {status.st_uid}")

    def find_stranger(self, status: os.stat_result) -> Fault | None:
        """Return the fault of a file that an unauthorized user may have written, or None."""
        owner = self._found.st_uid
        if wrong_owner := self.find_wrong_owner(status):
            return wrong_owner
        if status.st_nlink > 1 and status.st_uid != owner and not self._is_trusted:
            # Without fs.protected_hardlinks, any user can link to any file (man 5 proc).
            problem = f"must have only one hard link, has {status.st_nlink}"
            return Fault("", problem)
        if status.st_uid in {_ROOT, os.geteuid()} and not self._is_trusted and _is_shared(status):
            mode = stat.S_IMODE(status.st_mode)
            problem = (
                "must not be writable by group or others, as other users can write to this "
                f"directory; its mode is {mode:04o}"
            )
            return Fault("", problem)
        return None

    def author(self, status: os.stat_result) -> Author:
        """Return the author of a release: the owner of its file.

        hsup, as root, gives files that it writes to the author. As another user it cannot, so a
        file of hsup's user in a directory of somebody else counts as that of the directory's owner.
        """
        uid = os.geteuid()
        is_unclear = status.st_uid == uid != _ROOT and self._found.st_uid not in {uid, _ROOT}
        writer = self._found if is_unclear else status
        return Author(writer.st_uid, writer.st_gid)

    def exists(self, name: str) -> bool:
        """Tell whether there is a file of that name, even if it is a dangling link."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def stat(self, name: str) -> os.stat_result:
        """Return the status of the file that would be opened, or of a dangling link."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=self._is_trusted)
        except FileNotFoundError:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def find_obstacle(self, name: str) -> Fault | None:
        """Return the fault of a file that must not even be opened, or None. Raises OSError."""
        return find_obstacle(name, self.descriptor, follows_links=self._is_trusted)

    def open(self, name: str) -> int:
        """Open a file for reading; never waits. Raises OSError."""
        return open_control_file(name, self.descriptor, follows_links=self._is_trusted)

    def read(self, name: str, most_bytes: int = MAX_BYTES) -> tuple[bytes | Fault, os.stat_result]:
        """Return the content of a control file, or its fault, and its status. Raises OSError."""
        obstacle = self.find_obstacle(name)
        if obstacle:
            return obstacle, self.stat(name)
        descriptor = self.open(name)
        try:
            status = os.fstat(descriptor)
            return self.find_stranger(status) or read_opened(descriptor, most_bytes), status
        finally:
            os.close(descriptor)

    def write(
        self, name: str, content: bytes, permissions: int, owner: Author | None = None
    ) -> None:
        """Replace a file; after a crash, either the old or the new one is there, complete."""
        write_durably(
            name,
            content,
            mode=permissions,
            owner=(owner.uid, owner.gid) if owner and os.geteuid() == _ROOT else None,
            work=temporary(name),
            directory=self.descriptor,
        )

    def rename(self, name: str, other: str) -> None:
        """Rename a file. Raises OSError."""
        os.rename(name, other, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def link(self, name: str, other: str) -> None:
        """Give a file a second name. Raises OSError."""
        there = self.descriptor
        os.link(name, other, src_dir_fd=there, dst_dir_fd=there, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        """Remove a file. Raises OSError."""
        os.unlink(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Make renames and removals durable."""
        sync(self.descriptor)


@contextmanager
def opened(path: Path) -> Iterator[Directory]:
    """Open a control directory for the body of the `with`. Raises SourceError."""
    descriptor = _open(path)
    try:
        yield Directory(path, descriptor)
    finally:
        unlock(descriptor)


def temporary(name: str) -> str:
    """Return the name of a file while it is being written."""
    return f".{name}.tmp"


def advice(error: OSError) -> str | None:
    """Return the hint for an error in a control directory, None without one."""
    return _HINTS.get(error.errno or 0)


def _is_shared(status: os.stat_result) -> bool:
    """Tell whether other users than its owner may write to a file.

    A group with the number of the owner has no other members, except root's (man 8 pam_umask).
    """
    has_own_group = status.st_uid == status.st_gid != _ROOT
    others = stat.S_IWOTH if has_own_group else _OTHERS_MAY_WRITE
    return bool(status.st_mode & others)


def _open(path: Path) -> int:
    try:
        return os.open(path, _DIRECTORY_FLAGS)
    except FileNotFoundError as error:
        hint = f"create it: mkdir -p {shlex.quote(str(path))}"
        raise SourceError(f"{CONTROL_DIR} is {path}, which does not exist", hint=hint) from error
    except NotADirectoryError as error:
        hint = "set it to a control directory"
        raise SourceError(
            f"{CONTROL_DIR} is {path}, which is not a directory", hint=hint
        ) from error
    except OSError as error:
        text = f"{CONTROL_DIR} is {path}, which cannot be read: {error.strerror}"
        raise SourceError(text, hint=advice(error)) from error
