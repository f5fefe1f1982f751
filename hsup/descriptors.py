"""Reserve descriptors for hsup itself, however many dynos there are."""

from __future__ import annotations

import errno
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hsup.errors import DriverError, HsupError

_Result = TypeVar("_Result")

#: What to do where too many files are open.
REMEDY = "raise the open-file limit, for example ulimit -n 4096"

#: To follow the source, print, scale down and stop: imports of modules, a connection and
#: its name servers, a pidfd for each process that is being ended.
_RESERVED = 64
#: Those that a driver opens while it starts a dyno.
_FOR_A_START = 8
#: The minimum for an event loop, imports of plugins, and reading a source.
_LEAST = 16

#: How often a call is tried again if the limit was lowered for a child during it.
_TRIES, _PAUSE_SECONDS = 5, 0.01

#: Too many files are open: in this process, or on this machine.
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


def allow_many() -> None:
    """Raise the soft limit to the hard one; drivers have noted the limit of dynos before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def require_least() -> None:
    """Raise HsupError if hsup could not even find its plugins, or report what it lacks."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _LEAST:
        text = f"the open-file limit is {soft}, but hsup needs at least {_LEAST}"
        raise HsupError(text, hint=REMEDY)


def shortage(error: BaseException) -> str | None:
    """Return the message of an error, or of its cause, if too many files are open; else None."""
    cause: BaseException | None = error
    seen: set[BaseException] = set()
    while cause is not None and cause not in seen:  # an error may be raised from itself
        seen.add(cause)
        if isinstance(cause, OSError) and cause.errno in _TOO_MANY:
            path = os.fsdecode(cause.filename) if isinstance(cause.filename, (str, bytes)) else ""
            return f'cannot open "{path}": too many open files' if path else "too many open files"
        cause = cause.__cause__
    return None


class _Lowered:
    """Counts changes of this process's limit for a child: odd while it is lowered."""

    times = 0


@contextmanager
def children_may_open(files: int) -> Iterator[None]:
    """Give processes that are started inside the block a soft open-file limit.

    Children of posix_spawn inherit this process's own limit, so that is lowered during the
    block, which must not open a file. For other threads see `unless_lowered`.
    """
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = limits[1]  # may have been lowered since hsup was started
    soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    _Lowered.times += 1
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        _Lowered.times += 1


def unless_lowered(work: Callable[[], _Result]) -> _Result:
    """Call a function in a thread other than the main one, and return its result.

    It is called again if it could not open a file because the main thread had lowered the
    limit for a child.
    """
    for _ in range(_TRIES - 1):
        times = _Lowered.times
        try:
            return work()
        except Exception as error:
            was_lowered = times % 2 or _Lowered.times != times
            if not was_lowered or shortage(error) is None:
                raise
        time.sleep(_PAUSE_SECONDS)  # lets the main thread restore the limit
    return work()


class Descriptors:
    """Limits the starts of dynos by the open-file limit (man 2 getrlimit)."""

    def __init__(self) -> None:
        self._starting = 0

    @contextmanager
    def for_a_start(self) -> Iterator[None]:
        """Count a start during the block. Raises DriverError if hsup needs the free descriptors."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        reserved = min(_RESERVED, limit // 2) + _FOR_A_START * self._starting
        if _lowest_free(limit) + reserved >= limit:
            raise DriverError(
                f"too few file descriptors are left to start a dyno (open-file limit {limit})",
                hint=REMEDY,
            )
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1


def _lowest_free(limit: int) -> int:
    """Return the number that the next descriptor gets: all lower ones are in use."""
    try:
        descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return limit
    os.close(descriptor)
    return descriptor
