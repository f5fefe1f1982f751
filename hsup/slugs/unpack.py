"""Unpack the members under ./app/ of an archive into a new directory, and nowhere else.

The archive is not trusted, and hsup may be root. These rules prevent harm:

- A file is created only if all of its parents are directories that this archive
  created, so no name and no link can lead out of the new directory. Absolute names
  and names with `..` are refused, under ./app/ or not.
- No existing file is opened: if a name occurs twice, the last member wins, as with
  GNU tar, and the earlier file is removed first. A directory is replaced only if it
  is empty.
- Devices and FIFOs are refused. Owners are not kept; of modes, only the permissions
  are: no set-id bits, no sticky bits.
- A hard link must lead to an earlier file under ./app/.
- A symbolic link is kept as it is, wherever it leads: a dyno resolves it in its own
  root (buildpacks link to /usr/bin/… and to /app/…). hsup follows none of them, and
  no reader of the directory on the host may follow them either.
- The numbers of members and of bytes are limited.

Names are bytes, as on Linux: not every name is UTF-8, but NUL is refused.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

from hsup.archives.compression import decompressed
from hsup.archives.errors import HostileSlug, SlugError
from hsup.archives.limits import MAX_FILES, MAX_SIZE, Limits
from hsup.archives.progress import Advance, Progress
from hsup.archives.sparse import SparseMap
from hsup.archives.stream import Stream
from hsup.archives.tar import MAKE_SO, Kind, Member, members

#: Nested directories. Removing the tree opens all of them at the same time.
MAX_DEPTH = 100

_APP, _IN_APP = b"app", b"app/"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777
#: hsup must be able to remove what it created, even if it is not root.
_OWNER_PERMISSIONS = 0o700
_SHOWN_CHARACTERS = 200
_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackResult:
    """The bytes of the files that were created, and the SHA-256 of the archive that was read."""

    size: int
    digest: str


def unpack(
    path: str, directory: str, limits: Limits, progress: Progress, name: str
) -> UnpackResult:
    """Unpack the archive at `path` into `directory`/app, reading it once and to its end.

    `directory` exists and is empty. `name` is the slug's name for the user. Raises
    SlugError, and leaves an incomplete `directory` then.
    """
    digest = hashlib.sha256()
    label, length = f"unpacking {name}", os.path.getsize(path)
    with (
        open(path, "rb") as file,
        # After a refused member the rest is not read, and the thread would wait forever.
        closing(decompressed(file, digest.update)) as pieces,
        progress(label, length) as advance,
    ):
        stream = Stream(_watched(file, pieces, advance), limits.size)
        tree = _Tree(os.fsencode(directory), limits)
        for member in members(stream):
            tree.add(member, stream)
        tree.finish()
    return UnpackResult(size=tree.size, digest=digest.hexdigest())


def _watched(file: BinaryIO, pieces: Iterator[bytes], advance: Advance) -> Iterator[bytes]:
    """Yield the pieces of a file's content, and report how far the file was read."""
    last_position = 0
    for piece in pieces:
        yield piece
        position = file.tell()
        advance(position - last_position)
        last_position = position


@dataclass(frozen=True, slots=True, kw_only=True)
class _DirectoryAttributes:
    """The mode and time of a directory, set once it is complete; without a time, it is kept."""

    mode: int = 0o755
    mtime: int | None = None


class _Tree:
    """The files and directories that were created from an archive so far."""

    def __init__(self, root: bytes, limits: Limits) -> None:
        self.size = 0
        self._root = root + b"/"
        self._limits = limits
        self._count = 0
        self._is_empty = True
        self._granted = _granted(root)
        # By their paths below the root, such as `app/lib`.
        self._directories: dict[bytes, _DirectoryAttributes] = {}
        self._makers = {
            Kind.FILE: self._make_file,
            Kind.SYMLINK: self._make_symlink,
            Kind.HARD_LINK: self._make_hard_link,
        }

    def add(self, member: Member, stream: Stream) -> None:
        """Create a member, if it is under ./app/. Raises SlugError."""
        self._count_one(member)
        path = _path(member, member.name)
        is_under_app = path.startswith(_IN_APP) or path == _APP
        size = member.sparse.size if member.sparse else member.size
        if member.size > stream.left or (is_under_app and size > self._limits.size - self.size):
            hint = f"raise {MAX_SIZE} if you trust the archive"
            raise _refusal(member, "makes the slug larger than the limit", hint=hint)
        if not is_under_app:
            return
        try:
            self._make(member, path, stream)
        except OSError as error:
            text = f"cannot write its member {_shown(member.name)}: {error.strerror}"
            raise SlugError(text, hint=_HINTS.get(error.errno or 0)) from error

    def finish(self) -> None:
        """Set the modes and times of the directories. Raises SlugError if ./app/ is empty."""
        if self._is_empty:
            raise SlugError("it has nothing under ./app/", hint=MAKE_SO)
        for path, directory in self._directories.items():
            os.chmod(self._root + path, directory.mode & _PERMISSIONS | _OWNER_PERMISSIONS)
            if directory.mtime is not None:
                os.utime(self._root + path, (directory.mtime, directory.mtime))

    def _count_one(self, member: Member) -> None:
        self._count += 1
        if self._count > self._limits.files:
            text = f"exceeds the limit of {self._limits.files} files and directories"
            raise _refusal(member, text, hint=f"raise {MAX_FILES} if you trust the archive")

    def _make(self, member: Member, path: bytes, stream: Stream) -> None:
        if member.kind is Kind.DIRECTORY:
            self._make_directories(member, path, is_parent=False)
            self._directories[path] = _DirectoryAttributes(mode=member.mode, mtime=member.mtime)
            return
        maker = self._makers.get(member.kind)
        if not maker:
            raise _refusal(member, f"is {member.kind.value}")
        if path == _APP:
            raise _refusal(member, "must be a directory")
        self._make_directories(member, path.rpartition(b"/")[0])
        self._is_empty = False
        try:
            maker(member, path, stream)
        except FileExistsError:
            self._remove(member, path)
            maker(member, path, stream)

    def _make_directories(self, member: Member, path: bytes, *, is_parent: bool = True) -> None:
        """Create a directory and its parents, unless this archive has created them already."""
        if path in self._directories:
            return
        if path.count(b"/") >= MAX_DEPTH:
            raise _refusal(member, f"is nested in more than {MAX_DEPTH} directories")
        if path != _APP:
            self._make_directories(member, path.rpartition(b"/")[0])
            self._is_empty = False
        try:
            os.mkdir(self._root + path, _OWNER_PERMISSIONS)
        except FileExistsError as error:
            if is_parent:
                text = f"is below {_shown(path)}, which is not a directory"
                raise _refusal(member, text) from error
            self._remove(member, path)
            os.mkdir(self._root + path, _OWNER_PERMISSIONS)
        self._directories[path] = _DirectoryAttributes()
        self._count_one(member)

    def _remove(self, member: Member, path: bytes) -> None:
        """Remove what an earlier member created, for a later one of the same name."""
        existing = self._root + path
        if path not in self._directories:
            status = os.lstat(existing)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                self.size -= status.st_size
            os.unlink(existing)
            return
        try:
            os.rmdir(existing)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            text = "replaces a directory that is not empty"
            raise _refusal(member, text) from error
        del self._directories[path]

    def _make_file(self, member: Member, path: bytes, stream: Stream) -> None:
        mode = member.mode & _PERMISSIONS
        descriptor = os.open(self._root + path, _NEW_FILE, mode)
        try:
            if member.sparse:
                _write_sparse(descriptor, member.sparse, stream)
            else:
                _write(descriptor, member.size, stream)
            if mode & ~self._granted:
                os.fchmod(descriptor, mode)
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)
        self.size += member.sparse.size if member.sparse else member.size

    def _make_symlink(self, member: Member, path: bytes, _: Stream) -> None:
        if not member.target:
            raise _refusal(member, "is a symbolic link with an empty target")
        if b"\0" in member.target:
            text = f"is a symbolic link to {_shown(member.target)}, which contains a NUL character"
            raise _refusal(member, text)
        os.symlink(member.target, self._root + path)

    def _make_hard_link(self, member: Member, path: bytes, _: Stream) -> None:
        if not member.target:
            raise _refusal(member, "is a hard link with an empty target")
        target = _path(member, member.target, is_target=True)
        source, link = self._root + target, self._root + path
        if target == path and os.path.lexists(link):
            return  # GNU tar writes such a link for a file that it was told to add twice
        has_parent = target.rpartition(b"/")[0] in self._directories
        if not has_parent or target in self._directories or not os.path.lexists(source):
            text = f"is a hard link to {_shown(member.target)}, not an earlier file under ./app/"
            raise _refusal(member, text)
        if not os.path.lexists(link) or not os.path.samestat(os.lstat(source), os.lstat(link)):
            os.link(source, link, follow_symlinks=False)


def _path(member: Member, name: bytes, *, is_target: bool = False) -> bytes:
    """Return a member's name, or the target of its hard link, in the shortest form."""
    # Nearly all names are like this, and this check takes a tenth of the time.
    if b"/." not in name and b"//" not in name and b"\0" not in name:
        short = name.removeprefix(b"./")
        if short[:1] not in b"./":
            return short.rstrip(b"/")
    if name.startswith(b"/"):
        target = f"is a hard link to an absolute path, {_shown(name)}"
        raise _refusal(member, target if is_target else "has an absolute name")
    parts = name.split(b"/")
    if b".." in parts or b"\0" in name:
        fault = '".."' if b".." in parts else "a NUL character"
        target = f"is a hard link to {_shown(name)}, which contains {fault}"
        raise _refusal(member, target if is_target else f"has {fault} in its name")
    return b"/".join([part for part in parts if part and part != b"."])


def _granted(directory: bytes) -> int:
    """Return the permissions that a new file gets when all are requested (umask, man 5 acl).

    Permissions that are granted at once need not be set later, which saves a tenth of the time.
    """
    path = directory + b"/permissions"
    descriptor = os.open(path, _NEW_FILE, _PERMISSIONS)
    granted = os.fstat(descriptor).st_mode & _PERMISSIONS
    os.close(descriptor)
    os.unlink(path)
    return granted


def _write(descriptor: int, size: int, stream: Stream) -> None:
    """Write the next bytes of a stream."""
    while size:
        block = stream.block(size)
        size -= len(block)
        while block:
            block = block[os.write(descriptor, block) :]


def _write_sparse(descriptor: int, sparse: SparseMap, stream: Stream) -> None:
    """Write the parts of a sparse file, and leave holes between them."""
    for offset, size in sparse.parts:
        os.lseek(descriptor, offset, os.SEEK_SET)
        _write(descriptor, size, stream)
    os.ftruncate(descriptor, sparse.size)


def _refusal(
    member: Member, reason: str, *, hint: str | None = "leave it out of the archive"
) -> HostileSlug:
    return HostileSlug(f"its member {_shown(member.name)} {reason}", hint=hint)


def _shown(name: bytes) -> str:
    """Return a name for an error message: on one line, printable, and not too long."""
    text = name[:_SHOWN_CHARACTERS].decode(errors="backslashreplace")
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return f"{shown}…" if len(name) > _SHOWN_CHARACTERS else shown
