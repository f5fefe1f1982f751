"""The standard streams of a dyno that is being started."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from hsup.api import OutputPipes
from hsup_driver_simple.program import Actions


@cache
def low_streams() -> LowStreams:
    """Return the ones of this process, opened while there are small numbers left."""
    return LowStreams()


class LowStreams:
    """Lends the outputs of one dyno after another two descriptors of small numbers.

    posix_spawn of glibc refuses a descriptor above the limit of open files that
    the child will have (EBADF), and the pipes of the five hundredth dyno are.
    """

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_RDWR)
        self._stdout = os.dup(self._null)
        self._stderr = os.dup(self._null)

    @property
    def highest(self) -> int:
        """Return the greater one of the two numbers."""
        return max(self._stdout, self._stderr)

    @contextmanager
    def lent(self, output: OutputPipes, open_files: int) -> Iterator[Actions]:
        """Yield what os.posix_spawn has to do for a dyno without input.

        Raises OSError where the dyno, with so many open files, cannot have them.
        """
        limit = min(open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if self.highest >= limit:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        os.dup2(output.stdout, self._stdout, inheritable=False)
        os.dup2(output.stderr, self._stderr, inheritable=False)
        try:
            yield (
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, self._stdout, 1),
                (os.POSIX_SPAWN_DUP2, self._stderr, 2),
            )
        finally:  # a copy left open here would keep the dyno's output from ending
            os.dup2(self._null, self._stdout, inheritable=False)
            os.dup2(self._null, self._stderr, inheritable=False)
