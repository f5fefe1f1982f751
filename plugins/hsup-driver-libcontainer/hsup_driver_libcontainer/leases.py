"""Lease numbers that are unique on this machine: the uids and the subnets of dynos.

A lease is a lock on the byte of that offset in a file that all hsups share. The
lock belongs to the open file description (F_OFD_SETLK, man 2 fcntl), which the zygote
and the first process of each dyno inherit: the kernel releases it when the last of them
has ended, so a crash leaves nothing to reclaim. The file contains the number at which
the next search begins, so that a number is used again only after all others.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterable, Iterator

from hsup.errors import DriverError
from hsup.numerals import whole_number
from hsup_driver_libcontainer.run_directories import make_own_directory

_CURSOR_BYTES = 20


class Leases:
    """The leases of one hsup on numbers of a range.

    `resource` ("uid") and `remedy` are for the error message when none is free. Every process
    that must keep the leases has to keep `descriptor` open. Raises DriverError for a
    directory that others can write to.
    """

    def __init__(self, path: str, numbers: range, *, resource: str, remedy: str) -> None:
        self._numbers = numbers
        self._resource = resource
        self._remedy = remedy
        self._taken: set[int] = set()
        self._mutex = threading.Lock()
        self._is_closed = False
        make_own_directory(os.path.dirname(path))
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.descriptor = os.open(path, flags, 0o600)

    def take(self, busy: Iterable[range] = ()) -> int:
        """Lease a number that is free, and in no range of `busy`.

        Raises DriverError if there is none, or after `close`.
        """
        with self._mutex:
            if self._is_closed:
                raise DriverError(f"cannot lease a {self._resource}: the driver is closed")
            for number in self._candidates(busy):
                if number not in self._taken and self._lock(number):
                    self._taken.add(number)
                    os.pwrite(self.descriptor, b"%-*d" % (_CURSOR_BYTES, number + 1), 0)
                    return number
        raise DriverError(f"no {self._resource} is free", hint=self._remedy)

    def give_back(self, number: int) -> None:
        """Make a number available again; do nothing if it is not leased."""
        with self._mutex:
            if number in self._taken and not self._is_closed:
                self._taken.remove(number)
                fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, lock_of_byte(fcntl.F_UNLCK, number))

    def close(self) -> None:
        """Close the file: all leases end once no process has it open."""
        with self._mutex:  # a late thread must not lock another file of this number
            self._is_closed = True
            os.close(self.descriptor)

    def _candidates(self, busy: Iterable[range]) -> Iterator[int]:
        cursor = self._cursor()
        free = list(without(self._numbers, busy))
        for part in free:
            yield from range(max(part.start, cursor), part.stop)
        for part in free:
            yield from range(part.start, min(part.stop, cursor))

    def _cursor(self) -> int:
        number = whole_number(os.pread(self.descriptor, _CURSOR_BYTES, 0).strip())
        return self._numbers.start if number is None else number

    def _lock(self, number: int) -> bool:
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, lock_of_byte(fcntl.F_WRLCK, number))
        except BlockingIOError:
            return False
        return True


def without(numbers: range, busy: Iterable[range]) -> Iterator[range]:
    """Yield, in order, the parts of `numbers` that no range of `busy` covers."""
    start = numbers.start
    for taken in sorted(busy, key=lambda part: part.start):
        stop = min(taken.start, numbers.stop)
        if start < stop:
            yield range(start, stop)
        start = max(start, taken.stop)
    if start < numbers.stop:
        yield range(start, numbers.stop)


def lock_of_byte(lock_type: int, number: int) -> bytes:
    """Return a struct flock (man 2 fcntl) for one byte of a file."""
    return struct.pack("hhqqi4x", lock_type, os.SEEK_SET, number, 1, 0)
