"""Hold the file `new` at a moment when nobody writes it."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hsup.model import Fault
from hsup_source_directory.reading import find_obstacle, open_control_file, read_opened

#: Where nothing tells of writers, a faulty file is believed when it is this old.
SETTLED_SECONDS = 2.0

#: Device, inode, size in bytes, time of the last change of the content in ns.
Identity = tuple[int, int, int, int]


class BeingWrittenError(Exception):
    """Somebody writes the file, and will close it or put another one in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What `new` was when it was read.

    `descriptor` is None for what cannot be opened, such as a folder. With a
    lease, no writer gets at the file before the submission is let go of.
    """

    content: bytes | Fault
    identity: Identity
    permissions: int
    descriptor: int | None = None
    has_lease: bool = False

    def is_at(self, path: Path) -> bool:
        """Tell whether this and nothing newer is there, and no writer waits for it."""
        return _identity_of(path) == self.identity and not self._writer_waits()

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
def hold(path: Path) -> Iterator[Submission]:
    """Read a file, and keep writers waiting in the body of the `with`.

    Raises BeingWrittenError where a writer has it open; OSError,
    FileNotFoundError if nothing is there.
    """
    obstacle = find_obstacle(path)
    if obstacle:
        identity = _identity_of(path)
        yield Submission(content=obstacle, identity=identity, permissions=0)
        return
    descriptor = open_control_file(path)
    try:
        with _leased(descriptor) as has_lease:
            yield _read(descriptor, has_lease=has_lease)
    finally:
        os.close(descriptor)


@contextmanager
def _leased(descriptor: int) -> Iterator[bool]:
    """Hold a read lease, which the kernel refuses while a file is open for writing.

    Yields False where there are no leases: some network file systems, or a
    file of another user and no CAP_LEASE (man 2 fcntl).
    """
    has_lease = _take_lease(descriptor)
    try:
        yield has_lease
    finally:
        if has_lease:
            # Closing is not enough: a child that is being forked has a copy.
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _take_lease(descriptor: int) -> bool:
    try:
        # A writer that comes now is announced by a signal: one that is ignored
        # by default, instead of SIGIO, which ends the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError as error:
        raise BeingWrittenError from error
    except OSError:
        return False
    return True


def _read(descriptor: int, *, has_lease: bool) -> Submission:
    before = os.fstat(descriptor)
    content = read_opened(descriptor)
    is_same = _identity(os.fstat(descriptor)) == _identity(before)
    if not is_same or not stat.S_ISREG(before.st_mode):
        raise BeingWrittenError
    return Submission(
        content=content,
        identity=_identity(before),
        permissions=before.st_mode & 0o777,
        descriptor=descriptor,
        has_lease=has_lease,
    )


def _identity_of(path: Path) -> Identity:
    """Return the identity of a file, or of the link that leads nowhere."""
    try:
        return _identity(path.stat())
    except FileNotFoundError:
        return _identity(path.lstat())


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
