"""The descriptors between a program and hsup's caller."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import tty
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import NamedTuple

from hsup.terminal import window_size

STDIN, STDOUT, STDERR = 0, 1, 2

#: New descriptors get higher numbers: a stream that the caller has closed stays closed.
_LEAST = 10


class Copied(NamedTuple):
    """What is copied: read at one end, and written to a stream of the caller."""

    reading: int
    stream: int
    is_terminal: bool = False


class Ends(NamedTuple):
    """The ends of everything that is between the program and the caller.

    `given` has the program's end for each of its streams that has one. `keyboard` is the end at
    which what is typed is written, None if the program reads the caller's own input.
    """

    given: Mapping[int, int]
    copied: tuple[Copied, ...]
    keyboard: int | None = None

    def leave(self) -> None:
        """Close the ends of the program."""
        _close({*self.given.values()})

    def keep(self) -> None:
        """Close the other ones."""
        _close({one.reading for one in self.copied})


def lifted(descriptor: int) -> int:
    """Return another number for a new descriptor, which no program inherits."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LEAST)
    finally:
        os.close(descriptor)


def copy_of(descriptor: int) -> int:
    """Return a copy of a descriptor, which no program inherits."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LEAST)


def has_whole_terminal() -> bool:
    """Tell whether standard input and output both are terminals.

    Then the program may set the modes of either, and expects them of the other.
    """
    return os.isatty(STDIN) and os.isatty(STDOUT)


def ends() -> Ends:
    """Return new ends for the caller's output streams. Raises OSError."""
    given: dict[int, int] = {}
    copied: list[Copied] = []
    known: dict[tuple[int, int], int] = {}
    keyboard = None
    if has_whole_terminal():
        keyboard, given[STDIN] = _terminal(STDIN, is_raw=False)
        copied.append(Copied(keyboard, STDOUT, is_terminal=True))
        known[_identity(STDOUT)] = given[STDOUT] = given[STDIN]
    for stream in (STDOUT, STDERR):
        with suppress(OSError):  # the caller has closed it
            if stream not in given:
                _add(stream, given, copied, known)
    return Ends(given, tuple(copied), keyboard)


def _add(
    stream: int, given: dict[int, int], copied: list[Copied], known: dict[tuple[int, int], int]
) -> None:
    """Add the ends of a stream; what goes to the same file keeps its order."""
    identity = _identity(stream)
    if identity not in known:
        is_terminal = os.isatty(stream)
        reading, known[identity] = _terminal(stream, is_raw=True) if is_terminal else _pipe()
        copied.append(Copied(reading, stream, is_terminal))
    given[stream] = known[identity]


def _identity(stream: int) -> tuple[int, int]:
    status = os.fstat(stream)
    return status.st_dev, status.st_ino


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    return lifted(reading), lifted(writing)


def _terminal(like: int, *, is_raw: bool) -> tuple[int, int]:
    """Return both ends of a new terminal like another one: its modes, and its size.

    A raw one changes no byte that is written to it.
    """
    master, slave = map(lifted, os.openpty())
    if is_raw:
        tty.setraw(slave)
    else:
        with suppress(termios.error):  # it was closed meanwhile
            termios.tcsetattr(slave, termios.TCSANOW, termios.tcgetattr(like))
    follow_size(master, like)
    return master, slave


def follow_size(master: int, like: int) -> None:
    """Give a terminal the size of another one, as far as that is still open."""
    with suppress(OSError):
        size = struct.pack("4H", *window_size(like), 0, 0)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def close_others(kept: Collection[int]) -> None:
    """Close what a process has inherited and does not need, so that it holds it for nobody."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > STDERR and int(name) not in kept:
            with suppress(OSError):
                os.close(int(name))


def _close(descriptors: Collection[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
