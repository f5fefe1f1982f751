"""Take over what another hsup left in the directory that it had beside this one's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from hsup import locks
from hsup.drains import segments
from hsup.drains.position import NAME, PositionFile
from hsup.drains.segments import Torn

_NUMBER = re.compile(r"(-\d{1,3})?", re.ASCII)


def take_over(first: str, directory: str) -> list[Torn]:
    """Move files from `first`, and from those beside it that nobody uses, into a directory.

    Of the oldest of them, also what was delivered is there again. Returns what was cut off.
    Raises OSError.
    """
    torn = []
    for other in _others(first, directory):
        try:
            lock = locks.lock(other, locks.EXCLUSIVE_NOW)
        except (BlockingIOError, FileNotFoundError):
            continue
        try:
            with suppress(OSError):  # the next hsup tries again
                torn += _move(other, directory)
                os.rmdir(other)
        finally:
            locks.unlock(lock)
    return torn


def _others(first: str, directory: str) -> Iterator[str]:
    parent, name = os.path.split(first)
    for one in sorted(os.listdir(parent)):
        path = os.path.join(parent, one)
        if path != directory and one.startswith(name) and _NUMBER.fullmatch(one[len(name) :]):
            yield path


def _move(other: str, directory: str) -> list[Torn]:
    done = _position(other)
    found, torn = segments.found(other)
    own, own_torn = segments.found(directory)
    number = max([_position(directory), *(one.number for one in own)])
    for segment in found:
        if segment.number < done:
            segment.remove()
        else:
            number += 1
            segment.move(directory, number)
    os.unlink(os.path.join(other, NAME))
    return torn + own_torn


def _position(directory: str) -> int:
    """Return the number of the first file that is not delivered."""
    file = PositionFile(directory)
    file.close()
    return file.position.number
