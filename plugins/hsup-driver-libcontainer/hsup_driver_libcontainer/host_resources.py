"""What one hsup has of this machine: the uids, cgroups and networks that its dynos are given."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property

from hsup.api import Finding, Settings
from hsup.directories import make_directories
from hsup.errors import DriverError, DynoStartError, UsageError
from hsup.model import DynoSpec
from hsup.sizes import Size, cpu_set, default_size, named
from hsup_driver_libcontainer import instance, requirements, scratch, seccomp, uids
from hsup_driver_libcontainer.allocation import Allocation, new_hostname
from hsup_driver_libcontainer.cgroups import cgroups
from hsup_driver_libcontainer.cgroups.cgroups import Cgroups
from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.child.plan import SharedSetup
from hsup_driver_libcontainer.instance import Instance
from hsup_driver_libcontainer.leases import Leases
from hsup_driver_libcontainer.network.network import Network
from hsup_driver_libcontainer.run_directories import make_own_directory
from hsup_driver_libcontainer.uids import UID_MAX, UIDS, uid_range

_DYNO_SIZE = "LIBCONTAINER_DYNO_SIZE"
_RUN_DIRECTORY = "LIBCONTAINER_RUN_DIR"
_DEFAULT_RUN_DIRECTORY = "/run/hsup/libcontainer"

_CAP_LAST_CAP = "/proc/sys/kernel/cap_last_cap"

#: Too many files are open in this process, or on this machine.
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)

#: Stands for the instance id in an explanation.
_SAMPLE = "INSTANCE"

#: Characters with a meaning in the options of an overlay, see man 8 mount.
_MOUNT_SYNTAX = ":,\\"


class HostResources:
    """The machine, and what this hsup has taken of it.

    Nothing is made before `open`. Raises UsageError for an environment variable with an
    invalid value.
    """

    def __init__(self, settings: Settings) -> None:
        environ = settings.environ
        self.directory = _run_directory(environ)
        self.stage = f"{self.directory}/stage"
        self.images = f"{self.directory}/images"
        self._uid_range = uid_range(environ)
        self._size = default_size(environ, _DYNO_SIZE)
        self._scratch_bytes = scratch.read_size(environ)
        self._network = Network(settings, self.directory)
        self._is_good = False
        self._is_open = False
        self._owed: list[Allocation] = []  # not given back yet: too many files were open

    def check(self) -> None:
        """Raise DriverError for the first thing that is missing; look only until nothing is."""
        if self._is_good:
            return
        for finding in requirements.examine():
            if not finding.is_good and finding.remedy:
                raise DriverError(finding.text, hint=finding.remedy)
        self._network.check()
        self._cgroups = Cgroups.detect()
        self._is_good = True

    def examine(self) -> Sequence[Finding]:
        """Return what the machine has for the driver, and what it lacks."""
        return [
            *requirements.examine(),
            *cgroups.examine(),
            *seccomp.examine(),
            *self._network.examine(),
            uids.examine(self._uid_range),
        ]

    def open(self) -> None:
        """Make the directories and the system call filter. Raises DriverError."""
        if not self._is_open:
            try:
                make_own_directory(self.directory)
                make_directories(self.stage)
            except OSError as error:
                text = f"cannot create the run directory {self.directory}: {error.strerror}"
                hint = f"set {_RUN_DIRECTORY} to another directory"
                raise DriverError(text, hint=hint) from error
            _ = self._seccomp_filter  # made here, as its library may be missing
            self._is_open = True

    def begin_network(self) -> None:
        """Begin to make what the network of dynos needs; `open_network` waits for it."""
        self._network.begin()

    def open_network(self) -> None:
        """Block until dynos can have a network. Raises DriverError."""
        self._network.open()

    def close(self) -> None:
        """Give back everything, when no dyno is left. It can be opened again."""
        if not self._is_open:
            return
        self._is_open = False
        with ExitStack() as steps:  # each is taken, even if another one fails
            steps.callback(self._instance.close)  # last, so that no other hsup sweeps meanwhile
            steps.callback(self._uids.close)
            steps.callback(self._forget_instance)
            steps.callback(self._network.close)
        self._owed.clear()
        for cached in ("_instance", "_uids", "shared_setup"):
            self.__dict__.pop(cached, None)

    def _forget_instance(self) -> None:
        """Remove all cgroups, then the file that would make a later hsup sweep them."""
        self._cgroups.sweep(self._instance.id)
        self._instance.forget()

    def sweep(self) -> Sequence[str]:
        """Remove the leftovers of previous hsups; return what they were. Raises DriverError."""
        self.check()
        ended = {name: len(self._cgroups.sweep(name)) for name in instance.ended(self.directory)}
        ended |= self._cgroups.sweep_deserted(instance.known(self.directory))
        cgroups = [f"{count} cgroups of hsup {name}" for name, count in ended.items() if count]
        return [*cgroups, *self._network.sweep()]

    @cached_property
    def shared_setup(self) -> SharedSetup:
        """Return the setup that all dynos share."""
        leases = (self._instance, self._uids, self._network.leases())
        return SharedSetup(
            kept=tuple(lease.descriptor for lease in leases),
            stage=self.stage,
            seccomp=self._seccomp_filter,
            highest_capability=_highest_capability(),
        )

    @cached_property
    def _seccomp_filter(self) -> str:
        return seccomp.filter_program(self.directory).hex()

    def size_of(self, spec: DynoSpec) -> Size:
        """Return the size of a dyno. Raises DynoStartError if there is no size of that name."""
        return named(spec.size) if spec.size else self._size

    def scratch_bytes(self, size: Size) -> int:
        """Return how many bytes a dyno may write to each of its writable directories."""
        return self._scratch_bytes or scratch.default_size(size)

    def take_uid(self) -> int:
        """Take a uid for a dyno. Raises DriverError and OSError, having taken nothing.

        Blocks while the account servers of this machine do (man 5 nsswitch.conf).
        """
        return uids.take(self._uids)

    def give_back_uid(self, uid: int) -> None:
        """Make a uid available again."""
        self._uids.give_back(uid)

    def take(self, size: Size, uid: int) -> Allocation:
        """Take what a dyno needs besides its uid.

        Raises DriverError and OSError, having taken nothing.
        """
        while self._owed:
            self.give_back(self._owed[-1])
            self._owed.pop()
        with ExitStack() as undo:
            subnet = self._network.take_subnet()
            undo.callback(self._network.give_back, subnet)
            group = self._cgroups.create(self._instance.id, str(uid), size)
            undo.pop_all()
        return Allocation(uid, new_hostname(), size, subnet, group, _cpus(size, uid))

    @property
    def can_have_spares(self) -> bool:
        """Tell whether a spare takes nothing that another dyno may need."""
        return not self._network.is_exclusive

    def begin_close_firewall(self) -> None:
        """Begin to remove the firewall rules: no dyno has processes any more."""
        self._network.begin_close_firewall()

    def network_plan(self, allocation: Allocation) -> NetworkPlan:
        """Return the requests for a dyno's network, after `open_network`. Raises DynoStartError."""
        try:
            return self._network.plan(allocation.subnet, allocation.interface)
        except OSError as error:
            raise DynoStartError(f"cannot set up the dyno's network: {error}") from error

    def sample(self, size: Size) -> Allocation:
        """Return an allocation that a dyno could get, and take nothing. Raises DriverError."""
        uid = self._uid_range.start
        group = Cgroups.detect().planned(_SAMPLE, str(uid), size)
        return Allocation(uid, new_hostname(), size, self._network.sample, group, _cpus(size, uid))

    def explain(self, sample: Allocation) -> Iterator[str]:
        """Yield the steps that make a dyno's cgroups and network, in words. Raises DriverError."""
        yield from Cgroups.detect().explain(_SAMPLE, str(sample.uid), sample.size)
        yield from (f"write 0 to {file} to join the cgroup" for file in sample.group.join_files)
        try:
            yield from self._network.explain(sample.subnet, sample.interface)
        except OSError as error:
            raise DynoStartError(f"cannot set up the dyno's network: {error}") from error

    def take_back(self, allocation: Allocation) -> None:
        """Give back the allocation of a dyno whose network was not made yet, except for its uid."""
        allocation.group.remove()
        self._network.give_back(allocation.subnet)

    def give_back(self, allocation: Allocation) -> None:
        """Give back the allocation of a dyno whose processes have ended; blocks."""
        allocation.group.remove()
        self._network.wait_until_gone(allocation.subnet)
        self._return(allocation)

    async def give_back_when_gone(self, allocation: Allocation) -> None:
        """Do what `give_back` does without blocking; if too many files are open, postpone it."""
        import asyncio

        try:
            for seconds in allocation.group.removing():
                await asyncio.sleep(seconds)
            await self._network.gone(allocation.subnet)
        except OSError as error:
            if error.errno not in _TOO_MANY_FILES:
                raise
            self._owed.append(allocation)
            return
        self._return(allocation)

    def _return(self, allocation: Allocation) -> None:
        self._network.give_back(allocation.subnet)
        self._uids.give_back(allocation.uid)

    @cached_property
    def _instance(self) -> Instance:
        return Instance(self.directory)

    @cached_property
    def _uids(self) -> Leases:
        remedy = f"raise {UID_MAX}"
        return Leases(UIDS, self._uid_range, resource="uid", remedy=remedy)


def _highest_capability() -> int:
    with open(_CAP_LAST_CAP, encoding="ascii") as file:
        return int(file.read())


def _run_directory(environ: Mapping[str, str]) -> str:
    directory = environ.get(_RUN_DIRECTORY) or _DEFAULT_RUN_DIRECTORY
    if not directory.startswith("/") or set(directory) & set(_MOUNT_SYNTAX):
        text = (
            f'{_RUN_DIRECTORY} must be an absolute path without {_MOUNT_SYNTAX}, got "{directory}"'
        )
        raise UsageError(text, hint=f"unset it to use the default, {_DEFAULT_RUN_DIRECTORY}")
    return directory


def _cpus(size: Size, number: int) -> tuple[int, ...]:
    """Return the cpus of a dyno; empty if it may use all that hsup may use."""
    allowed = os.sched_getaffinity(0)
    return () if size.cpus >= len(allowed) else tuple(sorted(cpu_set(size, allowed, number)))
