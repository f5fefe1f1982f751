"""Mark the processes of a dyno, so that all of them can be found.

A process inherits its soft RLIMIT_LOCKS across fork, exec, setsid and changes
of its environment. That limit has had no effect since Linux 2.4.25 (man 2
getrlimit), so programs do not set it, and it can carry a number: the hsup that
supervises the dyno, and which of its dynos it is. Unlike a process group or an
environment variable, the number is not lost when a daemon detaches itself; unlike
a cgroup, it needs no privilege. Other processes read it with prlimit(2). Only PAM
resets it, as in `su`; such processes are found by their parents
(`processes.Snapshot`).

    bit 62 … 60   101, which distinguishes a mark from an ordinary limit
    bit 59 … 38   the supervising hsup's pid
    bit 37 … 20   the start time of that hsup, in clock ticks, so that another
                  process that gets its pid later is not mistaken for it
    bit 19 … 0    the number of the dyno, counted by that hsup
"""

from __future__ import annotations

import itertools
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from hsup.descriptors import children_may_open
from hsup.errors import DynoStartError

RLIMIT_LOCKS = 10  # asm-generic/resource.h; the resource module does not name it

#: More than the size of /proc/PID/stat: 52 numbers and a name (man 5 proc).
_STAT_BYTES = 4096

_MAGIC = 0b101
_PID_BITS, _START_BITS, _DYNO_BITS = 22, 18, 20


def owner_of(mark: int) -> int:
    """Return the part of a mark that identifies the supervising hsup."""
    return mark >> _DYNO_BITS


def is_mark(limit: int) -> bool:
    """Tell whether a limit is a mark."""
    return limit >> (_PID_BITS + _START_BITS + _DYNO_BITS) == _MAGIC


class Marks:
    """Makes the marks of this process, a new one for every dyno."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        pid = os.getpid()
        start = _start_of(pid) or 0
        self._owner = ((_MAGIC << _PID_BITS) | pid) << _START_BITS | start

    def next(self) -> int:
        """Return a mark that none of the last million dynos had."""
        return self._owner << _DYNO_BITS | next(self._numbers) % (1 << _DYNO_BITS)


def owner_is_alive(mark: int) -> bool:
    """Tell whether the hsup that made a mark is still running."""
    return _start_of(owner_pid(mark)) == owner_of(mark) & ((1 << _START_BITS) - 1)


def owner_pid(mark: int) -> int:
    """Return the pid of the hsup that made a mark."""
    return (owner_of(mark) >> _START_BITS) & ((1 << _PID_BITS) - 1)


def mark_of(pid: int) -> int:
    """Return the mark of a process, 0 if it has none or hsup may not read it."""
    try:
        limit = resource.prlimit(pid, RLIMIT_LOCKS)[0]
    except (ProcessLookupError, PermissionError):
        return 0
    return limit if is_mark(limit) else 0


def is_running(pid: int) -> bool:
    """Tell whether a process is running: a zombie is not."""
    return _start_of(pid) is not None


def parent_of(pid: int) -> int:
    """Return the pid of a process's parent, 0 if the process does not exist."""
    fields = stat_of(pid)
    return int(fields[1]) if fields else 0


@contextmanager
def children_get(mark: int, open_files: int) -> Iterator[None]:
    """Give processes that are started inside the block a mark, and an open-file limit.

    During the block hsup itself has these limits: the block must not await anything, nor
    open a descriptor. Raises DynoStartError.
    """
    locks = resource.getrlimit(RLIMIT_LOCKS)
    try:
        resource.setrlimit(RLIMIT_LOCKS, (mark, locks[1]))
    except ValueError as error:
        text = f"cannot mark the processes of the dyno: the limit on file locks is {locks[1]}"
        raise DynoStartError(text, hint="set it to unlimited: ulimit -Hx unlimited") from error
    try:
        with children_may_open(open_files):
            yield
    finally:
        resource.setrlimit(RLIMIT_LOCKS, locks)


def _start_of(pid: int) -> int | None:
    """Return the low bits of a process's start time, None if it has ended or is a zombie."""
    fields = stat_of(pid)
    if not fields or fields[0] in "ZX":
        return None
    return int(fields[19]) & ((1 << _START_BITS) - 1)


def stat_of(pid: int, thread: int | None = None) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on, none if the process has ended.

    Those of a thread are from /proc/PID/task/THREAD/stat. Raises OSError if too many files are
    open.
    """
    of = pid if thread is None else f"{pid}/task/{thread}"
    try:
        file = os.open(f"/proc/{of}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended, or hidden from us
        return []
    try:
        stat = os.read(file, _STAT_BYTES).decode(errors="replace")
    except ProcessLookupError:  # it has just ended
        return []
    finally:
        os.close(file)
    return stat[stat.rindex(")") + 2 :].split()  # the name may contain anything (man 5 proc)
