"""Keep descriptors for what hsup itself has to open, however many dynos there are."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from hsup.errors import DriverError, HsupError

#: What to do where too many files are open.
REMEDY = "raise the limit of open files: ulimit -n"

#: For what follows the source, prints, scales down and stops: a module that is imported,
#: a connection with its name servers, a pidfd for each process that is being ended.
_RESERVED = 64
#: What drivers have open for a dyno that is being started, and hsup has not seen yet.
_FOR_A_START = 8
#: What an event loop, plugins that are imported, and a source that is read take at least.
_LEAST = 16

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
