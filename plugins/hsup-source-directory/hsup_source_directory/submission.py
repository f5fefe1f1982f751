"""Read the file `new` while no writer has it open."""

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
from hsup_source_directory.directory import Directory
from hsup_source_directory.reading import read_opened

#: If writers cannot be detected, a faulty file is rejected once it is this old.
SETTLED_SECONDS = 2.0

#: Device, inode, size in bytes, time of modification in nanoseconds.
Identity = tuple[int, int, int, int]


class _Lease(Enum):
    """The result of asking for a lease."""

    HELD = auto()
    HAS_WRITER = auto()
    UNKNOWN = auto()


class BeingWrittenError(Exception):
    """The file is being written; its writer will close or replace it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The file `new` as it was read.

    `descriptor` is None if it cannot be opened, as a directory; `is_strangers` is True if such
    a file belongs to a user who may not write releases. With a lease, no writer can open the
    file before the submission is released. A file that `has_writer` cannot have a lease, and
    may be incomplete.
    """

    content: bytes | Fault
    identity: Identity
    author: Author
    descriptor: int | None = None
    is_strangers: bool = False
    has_lease: bool = False
    has_writer: bool = False

    def is_at(self, directory: Directory, name: str) -> bool:
        """Tell whether the file at a name is still this one, unchanged and without a writer."""
        return _identity(directory.stat(name)) == self.identity and not self._writer_waits()

    def unsettled_seconds(self, now: float) -> float:
        """Return for how many seconds an undetected writer may still be at work."""
        if self.has_lease or self.descriptor is None:
            return 0.0
        age = now - self.identity[3] / 1e9
        return min(max(SETTLED_SECONDS - age, 0.0), SETTLED_SECONDS)

    def _writer_waits(self) -> bool:
        """Tell whether a writer waits for the lease to be released (man 2 fcntl)."""
        if not self.has_lease or self.descriptor is None:
            return False
        return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK


@contextmanager
def hold(directory: Directory, name: str) -> Iterator[Submission]:
    """Read a file, and make writers wait during the body of the `with`.

    Raises BeingWrittenError if the file changes meanwhile, and OSError, which is
    FileNotFoundError if there is no file.
    """
    obstacle = directory.find_obstacle(name)
    if obstacle:
        status = directory.stat(name)
        wrong_owner = directory.find_wrong_owner(status)
        yield Submission(
            content=wrong_owner or obstacle,
            identity=_identity(status),
            author=directory.author(status),
            is_strangers=wrong_owner is not None,
        )
        return
    descriptor = _open(directory, name)
    try:
        with _leased(descriptor) as lease:
            yield _read(directory, descriptor, lease)
    finally:
        os.close(descriptor)


def _open(directory: Directory, name: str) -> int:
    try:
        return directory.open(name)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it was replaced by a link
            raise BeingWrittenError from error
        raise


@contextmanager
def _leased(descriptor: int) -> Iterator[_Lease]:
    """Hold a read lease, which the kernel refuses while a file is open for writing.

    Some network file systems have no leases, and one on a file of another user takes
    CAP_LEASE (man 2 fcntl).
    """
    lease = _take_lease(descriptor)
    try:
        yield lease
    finally:
        if lease == _Lease.HELD:
            # Closing does not release it while a child that is being forked has a copy.
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _take_lease(descriptor: int) -> _Lease:
    try:
        # A signal announces a writer. SIGURG is ignored by default; SIGIO would
        # end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return _Lease.HAS_WRITER
    except OSError:
        return _Lease.UNKNOWN
    return _Lease.HELD


def _read(directory: Directory, descriptor: int, lease: _Lease) -> Submission:
    status = os.fstat(descriptor)
    content = directory.find_stranger(status) or read_opened(descriptor)
    is_same = _identity(os.fstat(descriptor)) == _identity(status)
    if not is_same or not stat.S_ISREG(status.st_mode):
        raise BeingWrittenError
    return Submission(
        content=content,
        identity=_identity(status),
        author=directory.author(status),
        descriptor=descriptor,
        has_lease=lease == _Lease.HELD,
        has_writer=lease == _Lease.HAS_WRITER,
    )


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
