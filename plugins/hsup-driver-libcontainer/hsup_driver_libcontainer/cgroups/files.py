"""Read, write and show the files of a cgroup."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import NamedTuple

#: A dyno's folder by controller; in version 2 they are the same.
Folders = Mapping[str, str]


class View(NamedTuple):
    """What a dyno is to find in its /sys/fs/cgroup, all of it read-only.

    `binds` are pairs of a folder of the host and a place below /sys/fs/cgroup,
    where "" is that itself. `files` are pairs of a place and a content; the
    folder of each is there when `binds` are, for a tmpfs to be mounted on it.
    """

    binds: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...] = ()


def write(path: str, value: str) -> None:
    """Write a value in one call, as the kernel wants it. Raises OSError with the path."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def counters(path: str) -> dict[str, int]:
    """Return the lines `name number` of a file, memory.stat for example."""
    with open(path, encoding="ascii") as file:
        return {name: int(number) for name, number in map(str.split, file)}


def process_ids(folder: str) -> list[int]:
    """Return the processes of a cgroup, none where it is no more.

    Without those that our process namespace does not contain, which are 0.
    """
    try:
        with open(f"{folder}/cgroup.procs", encoding="ascii") as file:
            return [int(line) for line in file if line != "0\n"]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if error.errno != errno.ENODEV:  # it was removed while it was read
            raise
        return []
