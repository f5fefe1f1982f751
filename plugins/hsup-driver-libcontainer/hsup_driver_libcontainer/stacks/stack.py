"""An installed stack: the path of its files, and the lock that keeps them from being removed."""

from __future__ import annotations

import json
import os
from types import TracebackType
from typing import NamedTuple, Self

from hsup.locks import unlock
from hsup_driver_libcontainer.stacks.manifest import Entry

#: The content of a stack's directory: a root or an image, and the record.
ROOT, IMAGE, RECORD = "root", "image", "stack.json"

#: `noload`: a file system that was in use when its image was made has a journal to replay,
#: which needs write access; without this option the mount fails then (man 5 ext4).
_MOUNT_OPTIONS = {
    "ext4": "ro,loop,nosuid,nodev,noload",
    "squashfs": "ro,loop,nosuid,nodev",
}


class Record(NamedTuple):
    """The record of an installed stack.

    `url` and `checksum` are those of the entry that it was fetched by. `digest` is that of an
    image in a registry. `filesystem` is `ext4` or `squashfs` for a disk image, None for
    files in a directory. `size` is in bytes, of the files or of the image.
    """

    name: str
    version: str | None
    url: str
    checksum: str | None
    digest: str | None
    filesystem: str | None
    size: int

    def entry(self) -> Entry:
        """Return the entry that it was fetched by."""
        return Entry(self.name, self.version, self.url, self.checksum)

    def is_of(self, entry: Entry) -> bool:
        """Tell whether the stack was fetched by this entry, and not from elsewhere."""
        return self.entry() == entry._replace(primary=False)

    def __str__(self) -> str:
        return str(self.entry())


class Stack:
    """A stack in use, which stays on the disk until it is closed.

    `directory` is its root directory, None if there is an `image` to mount.
    """

    def __init__(self, record: Record, path: str, descriptor: int) -> None:
        """Take a stack and the descriptor of the lock on it.

        `path` is a directory of the operator that is used where it is, or one of
        `installed`.
        """
        self.name = record.name
        self.version = record.version
        self.record = record
        self.directory: str | None = None
        self.image: str | None = None
        self._descriptor = descriptor
        if record.filesystem:
            self.image = os.path.join(path, IMAGE)
        elif path == record.url:
            self.directory = path
        else:
            self.directory = os.path.join(path, ROOT)

    def mount_command(self, target: str) -> tuple[str, ...]:
        """Return the command that mounts the image, read-only.

        The loop device is released with the mount, as mount(8) sets autoclear; so nothing is
        left when the mount namespace ends.
        """
        assert self.image
        assert self.record.filesystem
        return mount_command(self.image, self.record.filesystem, target)

    def close(self) -> None:
        """Release the lock, so that the stack can be removed; may be called more than once."""
        if self._descriptor >= 0:
            unlock(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def mount_command(image: str, filesystem: str, target: str) -> tuple[str, ...]:
    """Return the command that mounts an image, read-only."""
    return ("mount", "-t", filesystem, "-o", _MOUNT_OPTIONS[filesystem], image, target)


def write_record(directory: str, record: Record) -> None:
    """Write the record of a stack into its directory, before that is renamed into place."""
    path = os.path.join(directory, RECORD)
    with open(path, "w", encoding="utf-8", opener=_open_privately) as file:
        json.dump(record, file)


def read_record(directory: str) -> Record:
    """Read the record of a stack."""
    with open(os.path.join(directory, RECORD), encoding="utf-8") as file:
        return Record(*json.load(file))


def _open_privately(path: str, flags: int) -> int:
    """Open a file for its owner alone: URLs may contain passwords."""
    return os.open(path, flags, 0o600)
