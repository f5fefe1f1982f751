"""Read, write and show the files of a cgroup."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import NamedTuple

#: A dyno's cgroup directory by controller; in version 2 all are the same.
Directories = Mapping[str, str]


class View(NamedTuple):
    """The content of a dyno's /sys/fs/cgroup, all of it read-only.

    `binds` are pairs of a directory of the host and a path below /sys/fs/cgroup, or ""
    for that itself. `files` are pairs of a path and a content; a tmpfs is mounted on the
    directory of each, which exists once `binds` are mounted.
    """

    binds: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...] = ()


def write(path: str, value: str) -> None:
    """Write a value in one call, as the kernel requires. Raises OSError with the path."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def counters(path: str) -> dict[str, int]:
    """Return the lines `name number` of a file such as memory.stat."""
    with open(path, encoding="ascii") as file:
        return {name: int(number) for name, number in map(str.split, file)}


def counted_threads(path: str) -> int:
    """Return how many threads of a file such as cgroup.threads count for the load.

    As the kernel does, it counts those that run or could run, and those in an uninterruptible
    sleep (kernel/sched/loadavg.c). Threads outside of hsup's pid namespace are listed as 0.
    """
    with open(path, encoding="ascii") as file:
        threads = file.read().split()
    return sum(_state(thread) in {"R", "D"} for thread in threads)


def _state(thread: str) -> str | None:
    """Return the state of a thread, None if it has ended (man 5 proc_pid_stat)."""
    try:
        with open(f"/proc/{thread}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def process_ids(directory: str) -> list[int]:
    """Return the processes of a cgroup, none if the cgroup was removed.

    Processes outside of hsup's pid namespace, which the kernel lists as 0, are left out.
    """
    try:
        with open(f"{directory}/cgroup.procs", encoding="ascii") as file:
            return [int(line) for line in file if line != "0\n"]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if error.errno != errno.ENODEV:  # it was removed while it was read
            raise
        return []
