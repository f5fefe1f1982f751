"""A running hsup: a unique id, and the locks that tell others that it is running.

Its file has two locks. The one of flock(2) is held by hsup alone: it is free when hsup
has ended. The other belongs to the open file description (fcntl(2)), which the zygote and
the first process of each dyno share: it is free when all of them have ended.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

from hsup.locks import EXCLUSIVE, EXCLUSIVE_NOW, MAKE_NEW, lock_file, unlock
from hsup_driver_libcontainer.child import processes
from hsup_driver_libcontainer.leases import lock_of_byte
from hsup_driver_libcontainer.run_directories import make_own_directory

#: Long enough for the processes of an hsup that was killed: they end by themselves, unless
#: they were stopped by a signal.
_DYING_SECONDS = 10.0
_STOPPED_SECONDS = 1.0
_LOOK_SECONDS = 0.002
_LATE_LOOK_SECONDS = 0.1

FIRST_BYTE = lock_of_byte(fcntl.F_WRLCK, 0)


class Instance:
    """The hsup that this process is. `directory` is the run directory that all hsups share.

    Every process that belongs to it has to keep `descriptor` open.
    """

    def __init__(self, directory: str) -> None:
        instances = f"{directory}/instances"
        make_own_directory(instances)
        self.id, self._lock = _new(instances)
        self._path = f"{instances}/{self.id}"
        try:
            self.descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # too many files are open
            self.forget()
            unlock(self._lock)
            raise
        fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, FIRST_BYTE)

    def forget(self) -> None:
        """Remove the file, so that no later hsup looks for leftovers."""
        os.unlink(self._path)

    def close(self) -> None:
        """Release both locks."""
        os.close(self.descriptor)
        unlock(self._lock)


def _new(instances: str) -> tuple[str, int]:
    """Return an id that no other hsup has, and the descriptor that holds its lock."""
    while True:
        name = os.urandom(4).hex()
        try:
            return name, lock_file(f"{instances}/{name}", EXCLUSIVE, MAKE_NEW)
        except FileExistsError:
            continue


def known(directory: str) -> set[str]:
    """Return the id of every hsup that has a file here, whether it is running or has ended."""
    instances = f"{directory}/instances"
    return set(os.listdir(instances)) if os.path.isdir(instances) else set()


def ended(directory: str) -> Iterator[str]:
    """Yield the id of every previous hsup, and remove its file when the caller asks for the next.

    Waits for one whose processes are still ending.
    """
    instances = f"{directory}/instances"
    for name in known(directory):
        path = f"{instances}/{name}"
        try:
            lock = lock_file(path, EXCLUSIVE_NOW)
        except (BlockingIOError, FileNotFoundError):
            continue
        try:
            _wait_for_processes(lock, path)
            yield name
            os.unlink(path)
        finally:
            unlock(lock)


def _wait_for_processes(lock: int, path: str) -> None:
    """Wait until they have ended, and kill those that were stopped by a signal."""
    started = time.monotonic()
    while (waited := time.monotonic() - started) < _DYING_SECONDS:
        try:
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, FIRST_BYTE)
        except BlockingIOError:
            is_late = waited > _STOPPED_SECONDS
            if is_late:
                _kill_stopped(os.path.realpath(path))
            time.sleep(_LATE_LOOK_SECONDS if is_late else _LOOK_SECONDS)
        else:
            return


def _kill_stopped(path: str) -> None:
    for pid in processes.holders_of(path):
        if processes.is_stopped(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
