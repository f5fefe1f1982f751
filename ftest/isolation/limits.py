"""Attempts to take more of the machine than a container's share.

Nothing is tried that has no limit: the missing limit is the finding.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import signal
from pathlib import Path

from attempt import Facts, Refused, attempt

MIB = 1 << 20
#: More than this is not a limit for one container on a machine for tests.
MOST_BYTES, MOST_PROCESSES, MOST_FILES = 4096 * MIB, 20_000, 1 << 20
#: Of the 4096 that the machine has by default, 1024 of them for itself (kernel.pty.*).
MOST_TERMINALS = 1024


def limit_of(*paths: str) -> int | None:
    """Return what the first of these files of a cgroup says that is there."""
    for path in paths:
        try:
            text = Path("/sys/fs/cgroup", path).read_text().strip()
        except OSError:
            continue
        return None if text == "max" else int(text)
    return None


@attempt("take all memory", deaths=[signal.SIGKILL], is_alone=True)
def take_memory(_: Facts) -> object:
    limit = limit_of("memory/memory.limit_in_bytes", "memory.max")
    if limit is None or limit > MOST_BYTES:
        return f"there is no limit ({limit})"
    Path("/proc/self/oom_score_adj").write_text("1000")
    taken = mmap.mmap(-1, 2 * limit + 256 * MIB)  # there may be as much swap
    for place in range(0, len(taken), mmap.PAGESIZE):
        taken[place] = 1
    return f"{len(taken)} bytes"


@attempt("start processes without end", [errno.EAGAIN], is_alone=True)
def bomb(_: Facts) -> object:
    limit = limit_of("pids/pids.max", "pids.max")
    if limit is None or limit > MOST_PROCESSES:
        return f"there is no limit ({limit})"
    children: list[int] = []
    try:
        while len(children) <= limit:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
        return f"{len(children)} processes"
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise Refused(f"EAGAIN after {len(children)} processes") from error
        raise
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


for _directory in ("/tmp", "/var/tmp", "/dev/shm", "/app"):

    @attempt(f"fill {_directory}", [errno.ENOENT], [signal.SIGKILL], is_alone=True)
    def fill(_: Facts, directory: str = _directory) -> object:
        size = os.statvfs(directory).f_blocks * os.statvfs(directory).f_frsize
        if size > MOST_BYTES:
            return f"its file system has {size} bytes"
        path = Path(directory, "filling")
        written = 0
        try:
            with path.open("wb", buffering=0) as file:
                while written <= size:
                    written += file.write(bytes(MIB))
        except OSError as error:
            raise Refused(f"{errno.errorcode[error.errno or 0]} after {written} bytes") from error
        finally:
            path.unlink(missing_ok=True)
        return f"{written} bytes"


@attempt("open files without end", [errno.EMFILE])
def open_files(_: Facts) -> object:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit > MOST_FILES:
        return f"the limit is {limit}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 4096), limit))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(4097)]
    return f"{len(opened)} files"


@attempt("take the pseudo terminals of all", [errno.ENOSPC])
def take_terminals(_: Facts) -> object:
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * MOST_TERMINALS, _hard_limit()))
    opened = [os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY) for _ in range(MOST_TERMINALS + 1)]
    return f"{len(opened)} terminals"


def _hard_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
