"""Keep descriptors for what hsup itself has to open, however many dynos there are."""

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
REMEDY = "raise the limit of open files: ulimit -n"

#: For what follows the source, prints, scales down and stops: a module that is imported,
#: a connection with its name servers, a pidfd for each process that is being ended.
_RESERVED = 64
#: What drivers have open for a dyno that is being started, and hsup has not seen yet.
_FOR_A_START = 8
#: What an event loop, plugins that are imported, and a source that is read take at least.
_LEAST = 16

#: How often something is tried where the limit was lowered for a child just then.
_TRIES, _PAUSE_SECONDS = 5, 0.01

#: Too many files are open in this process, or on this machine.
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


def allow_many() -> None:
    """Raise the soft limit to the hard one; drivers have seen already what dynos are to have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def require_least() -> None:
    """Raise HsupError where hsup could not even find its plugins, or say what it lacks."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _LEAST:
        raise HsupError(f"no more than {soft} files may be open, hsup needs {_LEAST}", hint=REMEDY)


def shortage(error: BaseException) -> str | None:
    """Return what an error says, if it or its cause is that too many files are open."""
    cause: BaseException | None = error
    seen: set[BaseException] = set()
    while cause is not None and cause not in seen:  # one may be raised from itself
        seen.add(cause)
        if isinstance(cause, OSError) and cause.errno in _TOO_MANY:
            path = os.fsdecode(cause.filename) if isinstance(cause.filename, (str, bytes)) else ""
            return f'cannot open "{path}": too many open files' if path else "too many open files"
        cause = cause.__cause__
    return None


class _Lowered:
    """Counts how often the limit of this process was lowered for a child."""

    times = 0


@contextmanager
def children_may_open(files: int) -> Iterator[None]:
    """Have processes that are started inside the block a soft limit of open files.

    It is this process's own meanwhile, as nothing else hands it on to what posix_spawn
    starts: the block must not open a file. For other threads see `unless_lowered`.
    """
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]  # which may have been lowered since hsup was started
    soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    _Lowered.times += 1
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        _Lowered.times += 1


def unless_lowered(work: Callable[[], _Result]) -> _Result:
    """Return what a function returns that is called in a thread; it may be called again.

    That is where it could open no file while the main thread had the limit lowered for a child.
    """
    for _ in range(_TRIES - 1):
        times = _Lowered.times
        try:
            return work()
        except Exception as error:
            was_lowered = times % 2 or _Lowered.times != times
            if not was_lowered or shortage(error) is None:
                raise
        time.sleep(_PAUSE_SECONDS)  # lets the main thread go on
    return work()


class Descriptors:
    """Says whether another dyno can be started, by the limit of open files (man 2 getrlimit)."""

    def __init__(self) -> None:
        self._starting = 0

    @contextmanager
    def for_a_start(self) -> Iterator[None]:
        """Be starting a dyno. Raises DriverError where what is left is for hsup itself."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        reserved = min(_RESERVED, limit // 2) + _FOR_A_START * self._starting
        if _lowest_free(limit) + reserved >= limit:
            raise DriverError(
                f"no more than {limit} files may be open, and hsup needs the rest itself",
                hint=REMEDY,
            )
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1


def _lowest_free(limit: int) -> int:
    """Return the number that the next descriptor gets: all below are taken."""
    try:
        descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return limit
    os.close(descriptor)
    return descriptor
