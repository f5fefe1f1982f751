"""Descriptors that are kept for what has to be done when there may be no others."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from hsup.api import OutputPipes
from hsup_driver_simple.program import Actions


@cache
def low_descriptors() -> LowDescriptors:
    """Return the ones of this process, opened while there are small numbers left."""
    return LowDescriptors()


class LowDescriptors:
    """Lends the outputs of one dyno after another two descriptors of small numbers.

    posix_spawn of glibc refuses a descriptor above the limit of open files that
    the child will have (EBADF), and the pipes of the five hundredth dyno are.

    A third one is put aside for looks at processes, without which no dyno ends.
    """

    def __init__(self) -> None:
        opened = [os.open(os.devnull, os.O_RDWR)]
        try:
            opened += (os.dup(opened[0]) for _ in range(3))
        except OSError:
            for one in opened:
                os.close(one)
            raise
        self._null, self._stdout, self._stderr = opened[:3]
        self._aside: int | None = opened[3]

    @contextmanager
    def one_free(self) -> Iterator[None]:
        """Let one file at a time be opened inside the block, which must not await."""
        aside, self._aside = self._aside, None
        if aside is not None:
            os.close(aside)
        try:
            yield
        finally:
            with suppress(OSError):  # another thread was faster
                self._aside = os.dup(self._null)

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
