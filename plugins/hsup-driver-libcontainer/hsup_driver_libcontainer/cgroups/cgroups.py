"""Make, watch and remove the cgroups that limit dynos.

A dyno's cgroup is `hsup-INSTANCE/DYNO`, next to those of other programs: several hsups
share nothing.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from errno import EBUSY, ENODEV, ENOENT
from signal import SIGKILL
from typing import TYPE_CHECKING

from hsup.api import Finding, Measurement
from hsup.errors import DriverError
from hsup.sizes import Size
from hsup_driver_libcontainer.cgroups.files import (
    Directories,
    View,
    counted_threads,
    counters,
    process_ids,
    write,
)
from hsup_driver_libcontainer.cgroups.layout import Layout, survey
from hsup_driver_libcontainer.requirements import is_container

if TYPE_CHECKING:
    from hsup_driver_libcontainer.cgroups.v1 import Version1
    from hsup_driver_libcontainer.cgroups.v2 import Version2

_PREFIX = "hsup-"
_INSTANCE = re.compile("[0-9a-f]{8}")

#: How long a killed process may take to end, and how often to look: version 1 does not
#: report when a cgroup has become empty.
_DYING_SECONDS = 10.0
_LOOK_SECONDS = 0.001

#: A dyno joins its cgroup within milliseconds after the cgroup was made.
_DESERTED_SECONDS = 60.0


class Group:
    """The cgroups of one dyno, one for each hierarchy."""

    def __init__(self, version: Version1 | Version2, directories: Directories, size: Size) -> None:
        self._version = version
        self._directories = directories
        self._size = size

    @property
    def join_files(self) -> tuple[str, ...]:
        """Return the files to which a single-threaded process writes `0`, as root, to join."""
        return tuple(
            f"{directory}/{self._version.join_file}" for directory in _once(self._directories)
        )

    @property
    def view(self) -> View:
        """Return the content of the dyno's /sys/fs/cgroup."""
        return self._version.view(self._directories, self._size)

    def out_of_memory_event(self) -> int | None:
        """Return a new descriptor that becomes readable when the dyno's memory is used up.

        The kernel then kills one process, and the caller has to kill the others; if that
        is quick, `out_of_memory_kills` stays 0. Returns None if the kernel kills all of
        them itself. The descriptor becomes readable on `remove`, too. The caller closes it.
        """
        return self._version.out_of_memory_event(self._directories)

    def out_of_memory_kills(self) -> int:
        """Return how many processes the kernel killed because memory was used up."""
        path = f"{self._directories['memory']}/{self._version.oom_counters}"
        return counters(path).get("oom_kill", 0)

    def measured(self) -> Measurement | None:
        """Return what the dyno uses, None if the cgroups have been removed."""
        threads = f"{self._directories['memory']}/{self._version.threads_file}"
        try:
            used = self._version.measured(self._directories)
            runnable = counted_threads(threads)
        except OSError as error:
            if error.errno not in {ENOENT, ENODEV}:
                raise
            return None
        return used._replace(memory_quota=self._size.memory, runnable=runnable)

    def removing(self) -> Iterator[float]:
        """Kill the remaining processes and remove the cgroups, in steps.

        Yields the seconds to wait before each next step. May be called again.
        Raises DriverError if a process does not end within ten seconds.
        """
        return _removing(_once(self._directories))

    def remove(self) -> None:
        """Kill the remaining processes and remove the cgroups; blocks."""
        _wait(self.removing())


class Cgroups:
    """The part of the machine's cgroups that belongs to hsup."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._version = _version(layout.version)

    @classmethod
    def detect(cls) -> Cgroups:
        """Find out where cgroups can be made, without making any.

        Raises DriverError if something is missing.
        """
        layout, findings = _survey()
        for finding in findings:
            if finding.remedy:
                raise DriverError(finding.text, hint=finding.remedy)
        return cls(layout)

    def create(self, instance: str, dyno: str, size: Size) -> Group:
        """Make the cgroups of a dyno with the limits of its size, without processes.

        `instance` tells hsups apart. Raises DriverError, having made nothing.
        """
        directories = self._directories(instance, dyno)
        made: list[str] = []
        try:
            for directory in _once(directories):
                self._make(directory)
                made.append(directory)
            self._version.complete(directories)
            limits_swap = self._version.limits_swap(directories)
            for path, value in self._version.limits(directories, size, limits_swap=limits_swap):
                write(path, value)
        except OSError as error:
            _wait(_removing(made))
            text = f"cannot create a cgroup for {dyno}: {error.filename}: {error.strerror}"
            raise DriverError(text, hint="run hsup doctor") from error
        return Group(self._version, directories, size)

    def planned(self, instance: str, dyno: str, size: Size) -> Group:
        """Return what `create` would return, without making anything."""
        return Group(self._version, self._directories(instance, dyno), size)

    def explain(self, instance: str, dyno: str, size: Size) -> Iterator[str]:
        """Yield the steps of `create`, in words."""
        directories = self._directories(instance, dyno)
        yield from (f"make the cgroup {directory}" for directory in _once(directories))
        yield from self._version.explain_complete(directories)
        limits_swap = self._version.will_limit_swap(self._layout.parents)
        for path, value in self._version.limits(directories, size, limits_swap=limits_swap):
            yield f"write {value} to {path}"

    def _directories(self, instance: str, dyno: str) -> Directories:
        parents = {**self._layout.parents, **self._layout.shown}
        return {name: f"{parent}/{_PREFIX}{instance}/{dyno}" for name, parent in parents.items()}

    def instances(self) -> set[str]:
        """Return the ids of all hsups that have cgroups here, running or not."""
        children = (name for directory in self._layout.directories for name in _children(directory))
        return {name.removeprefix(_PREFIX) for name in children if name.startswith(_PREFIX)}

    def sweep(self, instance: str) -> list[str]:
        """Kill all processes in the cgroups of an hsup, and remove these; return the dynos' names.

        The hsup must have ended, or be about to end. Raises DriverError if a process does not
        end within ten seconds.
        """
        roots = [f"{parent}/{_PREFIX}{instance}" for parent in self._layout.directories]
        dynos = sorted({name for root in roots for name in _children(root)})
        for dyno in dynos:
            _wait(_removing([f"{root}/{dyno}" for root in roots]))
        _wait(_removing(roots))
        return dynos

    def sweep_deserted(self, known: Collection[str]) -> dict[str, int]:
        """Remove the cgroups of unknown hsups that are old and have no process.

        These are hsups whose run directory was removed, or is another one. Returns the number
        of dynos of each. Young cgroups are left alone, as a running hsup may fill them yet.
        """
        removed: dict[str, int] = {}
        for instance in filter(_INSTANCE.fullmatch, self.instances() - set(known)):
            roots = [f"{parent}/{_PREFIX}{instance}" for parent in self._layout.directories]
            dynos = {f"{root}/{name}" for root in roots for name in _children(root)}
            if all(map(_is_deserted, (*roots, *dynos))):
                removed[instance] = len(self.sweep(instance))
        return removed

    def _make(self, directory: str) -> None:
        try:
            os.mkdir(directory)
        except FileNotFoundError:  # the first dyno of this hsup
            instance = os.path.dirname(directory)
            self._version.prepare(os.path.dirname(instance))
            os.mkdir(instance)
            self._version.prepare(instance)
            os.mkdir(directory)


def examine() -> Sequence[Finding]:
    """Return what this machine has for the limits of dynos, and what it lacks."""
    return _survey()[1]


def _survey() -> tuple[Layout, Sequence[Finding]]:
    with open("/proc/self/mountinfo", encoding="utf-8") as mountinfo:
        mounts = mountinfo.read()
    with open("/proc/self/cgroup", encoding="utf-8") as own_cgroup:
        return survey(mounts, own_cgroup.read(), is_container=is_container())


def _version(number: int) -> Version1 | Version2:
    """Import one of the two versions: importing both would slow down `hsup run`."""
    if number == 1:
        from hsup_driver_libcontainer.cgroups.v1 import Version1

        return Version1()
    from hsup_driver_libcontainer.cgroups.v2 import Version2

    return Version2()


def _is_deserted(directory: str) -> bool:
    """Tell whether a cgroup is old, and has no process."""
    try:
        age = time.time() - os.stat(directory).st_mtime
    except FileNotFoundError:
        return True
    return age > _DESERTED_SECONDS and not process_ids(directory)


def _once(directories: Directories) -> list[str]:
    return list(dict.fromkeys(directories.values()))


def _children(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _wait(looks: Iterator[float]) -> None:
    for seconds in looks:
        time.sleep(seconds)


def _removing(directories: Sequence[str]) -> Iterator[float]:
    """Remove the cgroups of one dyno, or of one hsup, with those below them."""
    for directory in directories:
        yield from _removing_empty(
            [f"{directory}/{name}" for name in _children(directory)], directories
        )
    yield from _removing_empty(directories, directories)


def _removing_empty(leaves: Iterable[str], directories: Sequence[str]) -> Iterator[float]:
    deadline = time.monotonic() + _DYING_SECONDS
    for leaf in leaves:
        while not _rmdir(leaf):
            if time.monotonic() > deadline:
                pids = [*map(str, process_ids(leaf))]
                text = f"SIGKILL did not end process {', '.join(pids)}"
                where = f"/proc/{pids[0] if pids else 'PID'}/stack"
                raise DriverError(
                    f"cannot remove the cgroup {leaf}: {text}",
                    hint=f"see what it waits for in {where}",
                )
            _kill(directories)
            yield _LOOK_SECONDS


def _rmdir(directory: str) -> bool:
    """Remove a cgroup; tell whether that was possible, as it had no processes."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != EBUSY:
            text = f"cannot remove the cgroup {directory}: {error.strerror}"
            raise DriverError(text, hint="run hsup doctor") from error
        return False
    return True


def _kill(directories: Sequence[str]) -> None:
    """Kill every process in the cgroups, after keeping all of them from forking."""
    for directory in directories:
        try:
            write(f"{directory}/pids.max", "0")
        except FileNotFoundError:  # the controller is in another hierarchy
            pass
    for pid in {pid for directory in directories for pid in process_ids(directory)}:
        try:
            os.kill(pid, SIGKILL)
        except ProcessLookupError:  # it has ended meanwhile
            pass
