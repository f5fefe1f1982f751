"""Keep descriptors for what hsup itself has to open, however many dynos there are."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from hsup.errors import DriverError

#: For what follows the source, prints, scales down and stops: a module that is imported,
#: a connection with its name servers, a pidfd for each process that is being ended.
_RESERVED = 64
#: What drivers have open for a dyno that is being started, and hsup has not seen yet.
_FOR_A_START = 8


def allow_many() -> None:
    """Raise the soft limit to the hard one; drivers have seen already what dynos are to have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
                hint="raise the limit of open files: ulimit -n",
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
