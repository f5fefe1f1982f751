"""Hold the file `new` at a moment when nobody writes it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto

from hsup.model import Author, Fault
from hsup_source_directory.folder import Folder
from hsup_source_directory.reading import read_opened

#: Where nothing tells of writers, a faulty file is believed when it is this old.
SETTLED_SECONDS = 2.0

#: Device, inode, size in bytes, time of the last change of the content in ns.
Identity = tuple[int, int, int, int]


class _Lease(Enum):
    """What came of asking for a lease."""

    HELD = auto()
    HAS_WRITER = auto()
    UNKNOWN = auto()


class BeingWrittenError(Exception):
    """Somebody writes the file, and will close it or put another one in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What `new` was when it was read.

    `descriptor` is None for what cannot be opened, such as a folder; `is_strangers`
    tells of that that it belongs to nobody who may write releases. With a lease, no
    writer gets at the file before the submission is let go of; one that `has_writer`
    cannot have a lease, and may not be finished.
    """

    content: bytes | Fault
    identity: Identity
    author: Author
    descriptor: int | None = None
    is_strangers: bool = False
    has_lease: bool = False
    has_writer: bool = False

    def is_at(self, folder: Folder, name: str) -> bool:
        """Tell whether this and nothing newer is there, and no writer waits for it."""
        return _identity(folder.stat(name)) == self.identity and not self._writer_waits()

    def unsettled_seconds(self, now: float) -> float:
        """Return for how long a writer may still be at work, unnoticed."""
        if self.has_lease or self.descriptor is None:
            return 0.0
        age = now - self.identity[3] / 1e9
        return min(max(SETTLED_SECONDS - age, 0.0), SETTLED_SECONDS)

    def _writer_waits(self) -> bool:
        """Tell whether the kernel is asking for the lease back (man 2 fcntl)."""
        if not self.has_lease or self.descriptor is None:
            return False
        return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK


@contextmanager
def hold(folder: Folder, name: str) -> Iterator[Submission]:
    """Read a file, and keep writers waiting in the body of the `with`.

    Raises BeingWrittenError where it changes meanwhile; OSError, FileNotFoundError
    if nothing is there.
    """
    obstacle = folder.find_obstacle(name)
    if obstacle:
        found = folder.stat(name)
        wrong_owner = folder.find_wrong_owner(found)
        yield Submission(
            content=wrong_owner or obstacle,
            identity=_identity(found),
            author=folder.author(found),
            is_strangers=wrong_owner is not None,
        )
        return
    descriptor = _open(folder, name)
    try:
        with _leased(descriptor) as lease:
            yield _read(folder, descriptor, lease)
    finally:
        os.close(descriptor)


def _open(folder: Folder, name: str) -> int:
    try:
        return folder.open(name)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link has taken its place
            raise BeingWrittenError from error
        raise


@contextmanager
def _leased(descriptor: int) -> Iterator[_Lease]:
    """Hold a read lease, which the kernel refuses while a file is open for writing.

    There are none on some network file systems, nor for a file of another user
    without CAP_LEASE (man 2 fcntl).
    """
    lease = _take_lease(descriptor)
    try:
        yield lease
    finally:
        if lease == _Lease.HELD:
            # Closing is not enough: a child that is being forked has a copy.
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _take_lease(descriptor: int) -> _Lease:
    try:
        # A writer that comes now is announced by a signal: one that is ignored
        # by default, instead of SIGIO, which ends the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return _Lease.HAS_WRITER
    except OSError:
        return _Lease.UNKNOWN
    return _Lease.HELD


def _read(folder: Folder, descriptor: int, lease: _Lease) -> Submission:
    before = os.fstat(descriptor)
    content = folder.find_stranger(before) or read_opened(descriptor)
    is_same = _identity(os.fstat(descriptor)) == _identity(before)
    if not is_same or not stat.S_ISREG(before.st_mode):
        raise BeingWrittenError
    return Submission(
        content=content,
        identity=_identity(before),
        author=folder.author(before),
        descriptor=descriptor,
        has_lease=lease == _Lease.HELD,
        has_writer=lease == _Lease.HAS_WRITER,
    )


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
