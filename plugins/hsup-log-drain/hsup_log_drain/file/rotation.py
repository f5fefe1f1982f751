"""Rename a log file and those before it, and compress these, so that a crash loses no line.

`app.log` becomes `app.log.1`, and that `app.log.2`. A rotated file is compressed under another
name, `app.log.1.gz.INODE.new`, and removed once the compressed one is complete on the disk. Whoever
writes to a file has a shared lock of it, and whoever compresses it an exclusive one; names change
under a lock of their directory. So any number of hsups may write to one file.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from hsup import locks
from hsup.durable import UNFINISHED, sync

_PACKED = ".gz"
_PIECE_BYTES = 1 << 18
#: How long a compressed file waits for its name while another hsup changes names.
_WAIT_SECONDS, _PAUSE_SECONDS = 5.0, 0.02
#: How long lines wait for a rotation while names change, as they do when a file was compressed.
_SHORT_WAIT_SECONDS = 0.2
#: zlib writes the format of gzip (zlib.h, deflateInit2).
_GZIP_BITS = 16 + zlib.MAX_WBITS
_TRAILER = struct.Struct("<II")  # CRC32, size (RFC 1952, 2.3.1)
_SIZE_MODULUS = 1 << 32
_ROTATED = re.compile(r"(?P<base>.+)\.(?P<number>[1-9][0-9]{0,8})(?P<packed>\.gz)?\Z")
_LEFTOVER = re.compile(r"(?P<base>.+)\.[0-9]+\.gz\.[0-9]+\.new\Z")


class Rotated(NamedTuple):
    """A rotated file: its number, and whether it is compressed."""

    number: int
    is_packed: bool

    def path(self, base: str) -> str:
        """Return its path; `base` is that of the log file."""
        return f"{base}.{self.number}{_PACKED if self.is_packed else ''}"


def rotate(path: str, descriptor: int, keep: int) -> bool:
    """Rename a log file that is open, unless another hsup just has; keep the newest others.

    Return False if another hsup is renaming files there. Raises OSError.
    """
    with _locked(os.path.dirname(path), wait_seconds=_SHORT_WAIT_SECONDS) as is_locked:
        if not is_locked:
            return False
        if locks.is_at(path, descriptor):
            _shift(path, keep)
            os.rename(path, Rotated(1, is_packed=False).path(path))
        return True


def bases(directory: str, is_base: re.Pattern[str]) -> set[str]:
    """Return the names of log files of which `tidy` may have something to do. Raises OSError."""
    names = os.listdir(directory)
    found = {match["base"] for name in names if (match := _LEFTOVER.match(name))}
    for name in names:
        if (match := _ROTATED.match(name)) and not match["packed"]:
            found.add(match["base"])
    return {base for base in found if is_base.fullmatch(base)}


def tidy(path: str, *, packs: bool, is_unwanted: Callable[[], bool] = lambda: False) -> None:
    """Compress the rotated files of a log file, and remove what a crash left of that.

    Files that somebody still writes to are left as they are. Raises OSError.
    """
    directory, base = os.path.split(path)
    for name in os.listdir(directory):
        if (match := _LEFTOVER.match(name)) and match["base"] == base:
            _remove_leftover(os.path.join(directory, name))
    for rotated in sorted(_rotated(path)):
        if packs and not rotated.is_packed and not is_unwanted():
            with suppress(FileNotFoundError, BlockingIOError):  # another hsup was faster
                _pack(path, rotated, is_unwanted)


def _rotated(path: str) -> Iterator[Rotated]:
    directory, base = os.path.split(path)
    for name in os.listdir(directory):
        if (match := _ROTATED.match(name)) and match["base"] == base:
            yield Rotated(int(match["number"]), bool(match["packed"]))


def _shift(path: str, keep: int) -> None:
    """Rename rotated files up to the first number that is free, and remove those above `keep`."""
    rotated = sorted(_rotated(path), reverse=True)
    numbers = {one.number for one in rotated}
    free = next(number for number in range(1, len(numbers) + 2) if number not in numbers)
    kept = keep - 1 if free > keep else keep
    for one in rotated:
        if one.number > kept:
            os.unlink(one.path(path))
        elif one.number < free:
            os.rename(one.path(path), one._replace(number=one.number + 1).path(path))


def _pack(path: str, rotated: Rotated, is_unwanted: Callable[[], bool]) -> None:
    """Compress a rotated file. Raises BlockingIOError if it, or its directory, is in use."""
    with ExitStack() as stack:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        source = os.open(rotated.path(path), flags)
        stack.callback(locks.unlock, source)
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return
        fcntl.flock(source, locks.EXCLUSIVE_NOW)
        packed = rotated._replace(is_packed=True).path(path)
        work = f"{packed}.{status.st_ino}{UNFINISHED}"
        target = os.open(work, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        stack.callback(locks.unlock, target)
        fcntl.flock(target, locks.EXCLUSIVE_NOW)
        try:
            if _copy(source, target, is_unwanted):
                _look_alike(target, status)
                os.fsync(target)
                _replace(path, source, work)
        finally:
            with suppress(FileNotFoundError):  # it has its name
                os.unlink(work)


def _copy(source: int, target: int, is_unwanted: Callable[[], bool]) -> bool:
    """Compress a file; return False if that is no longer wanted."""
    packer = zlib.compressobj(wbits=_GZIP_BITS)
    while piece := os.read(source, _PIECE_BYTES):
        if is_unwanted():
            return False
        _write_all(target, packer.compress(piece))
    _write_all(target, packer.flush())
    return True


def _look_alike(descriptor: int, status: os.stat_result) -> None:
    with suppress(PermissionError):  # only root can give files away
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: str, source: int, work: str) -> None:
    """Put a compressed file in the place of its original, whose number may be another by now."""
    with _locked(os.path.dirname(path), wait_seconds=_WAIT_SECONDS) as is_locked:
        if not is_locked:
            raise BlockingIOError
        for rotated in sorted(_rotated(path)):
            plain = rotated.path(path)
            if rotated.is_packed or not os.path.samestat(os.lstat(plain), os.fstat(source)):
                continue
            packed = rotated._replace(is_packed=True).path(path)
            if not os.path.lexists(packed):
                os.rename(work, packed)
                sync(os.path.dirname(path))
                os.unlink(plain)
            elif _is_copy(packed, os.fstat(source)):  # a crash left both
                os.unlink(plain)
            return


def _is_copy(packed: str, status: os.stat_result) -> bool:
    """Tell whether a compressed file is that of a file: it has its time, and its size in it."""
    with open(packed, "rb") as file:
        if os.fstat(file.fileno()).st_mtime_ns != status.st_mtime_ns:
            return False
        file.seek(-_TRAILER.size, os.SEEK_END)
        size: int = _TRAILER.unpack(file.read(_TRAILER.size))[1]
    return size == status.st_size % _SIZE_MODULUS


def _remove_leftover(path: str) -> None:
    """Remove what a crash left of a compression, unless another hsup is at it."""
    with suppress(FileNotFoundError, BlockingIOError):
        locks.unlock(locks.lock_file(path, locks.EXCLUSIVE_NOW))
        os.unlink(path)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _locked(directory: str, wait_seconds: float = 0.0) -> Iterator[bool]:
    """Lock a directory as long as its names change; tell whether it is locked.

    A lock that another process has is not waited for any longer: any user who may read a
    directory can lock it for ever. A file system without locks is not locked, and said to be.
    """
    end = time.monotonic() + wait_seconds
    descriptor: int | None = None
    is_locked = True
    while descriptor is None and is_locked:
        try:
            descriptor = locks.lock(directory, locks.EXCLUSIVE_NOW)
        except BlockingIOError:
            is_locked = time.monotonic() < end
            time.sleep(_PAUSE_SECONDS if is_locked else 0)
        except OSError:
            break
    try:
        yield is_locked
    finally:
        if descriptor is not None:
            locks.unlock(descriptor)
