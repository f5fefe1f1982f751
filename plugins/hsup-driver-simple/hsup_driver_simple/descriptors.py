"""Descriptors that are reserved for tasks that must work when no others are left."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from hsup.api import OutputPipes
from hsup.model import DynoInput
from hsup_driver_simple.program import Actions


@cache
def low_descriptors() -> LowDescriptors:
    """Return those of this process; they are opened while low numbers are free."""
    return LowDescriptors()


class LowDescriptors:
    """Lends two descriptors with low numbers to the outputs of one dyno after another.

    posix_spawn of glibc refuses descriptors above the child's open-file limit
    (EBADF), which the pipes of the five hundredth dyno exceed.

    A third one is reserved for looking at processes, without which no dyno can be ended, and a
    fourth is the writing end of the pipe that dynos have as an open input. Each opens that pipe
    for itself: a program that makes its input non-blocking changes nobody else's.
    """

    def __init__(self) -> None:
        opened = [_silent_pipe()]
        try:
            opened += (os.dup(opened[0]) for _ in range(3))
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        self._silent, self._stdout, self._stderr = opened[:3]
        self._aside: int | None = opened[3]

    @contextmanager
    def one_free(self) -> Iterator[None]:
        """Allow one file at a time to be opened inside the block, which must not await."""
        aside, self._aside = self._aside, None
        if aside is not None:
            os.close(aside)
        try:
            yield
        finally:
            with suppress(OSError):  # another thread was faster
                self._aside = os.dup(self._silent)

    @property
    def highest(self) -> int:
        """Return the higher of the two numbers."""
        return max(self._stdout, self._stderr)

    @contextmanager
    def lent(
        self, output: OutputPipes, open_files: int, input_kind: DynoInput = "empty"
    ) -> Iterator[Actions]:
        """Yield the file actions of os.posix_spawn for a dyno.

        Raises OSError if the descriptors are above `open_files`, the dyno's limit.
        """
        limit = min(open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if self.highest >= limit:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        os.dup2(output.stdout, self._stdout, inheritable=False)
        os.dup2(output.stderr, self._stderr, inheritable=False)
        try:
            yield (
                *self._input(input_kind),
                (os.POSIX_SPAWN_DUP2, self._stdout, 1),
                (os.POSIX_SPAWN_DUP2, self._stderr, 2),
            )
        finally:  # a copy left open here would keep the dyno's output from ending
            os.dup2(self._silent, self._stdout, inheritable=False)
            os.dup2(self._silent, self._stderr, inheritable=False)

    def _input(self, kind: DynoInput) -> Actions:
        if kind == "own":
            return ()
        path = os.devnull if kind == "empty" else f"/proc/self/fd/{self._silent}"
        return ((os.POSIX_SPAWN_OPEN, 0, path, os.O_RDONLY, 0),)


def _silent_pipe() -> int:
    """Return the writing end of a new pipe, to which nobody writes."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing
