"""The registry of the hsups that share a directory and an engine, running or ended.

    /var/lib/hsup/docker/ENGINE/
        household               a unique id of the directory
        instances/ID/lock       locked (man 2 flock) while the hsup with that id runs
        instances/ID/CONTAINER  how much of its output was passed on, see `position`

The label of a container is REGISTRY/ID, with the id of the directory. So an hsup never takes one
that it cannot see, on another machine, of another user or in a container, for one that has ended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from hsup.directories import make_directories, state_directory
from hsup.durable import write_durably
from hsup.errors import DriverError
from hsup.locks import EXCLUSIVE_NOW, MAKE, lock_file, unlock

DIRECTORY = "HSUP_DOCKER_DIR"

#: The suffix of the directory of an instance that is being removed.
_REMOVING = ".going"


class InstanceRegistry:
    """The hsups of one directory that use one engine, including this one.

    Raises DriverError if the directory cannot be written.
    """

    def __init__(self, environ: Mapping[str, str], engine: str) -> None:
        base = environ.get(DIRECTORY) or state_directory("docker", environ)
        self.directory = f"{base}/{engine.replace('/', '-')}"
        self._locks: dict[str, int] = {}
        try:
            make_directories(f"{self.directory}/instances")
            for name in os.listdir(self.directory):
                if name.endswith(_REMOVING):  # by an hsup that was killed meanwhile
                    _remove(f"{self.directory}/{name}")
            self.id = self._read_id()
            self.instance = self._register()
        except OSError as error:
            text = f"cannot write to the directory {base}: {error.strerror}"
            raise DriverError(text, hint=f"set {DIRECTORY} to another directory") from error

    @property
    def owner(self) -> str:
        """Return the owner in the label of this hsup's containers."""
        return self._owner(self.instance)

    @property
    def owners(self) -> Sequence[str]:
        """Return the owners of all other hsups, running or ended."""
        instances = os.listdir(f"{self.directory}/instances")
        return [self._owner(instance) for instance in instances if instance != self.instance]

    def position_file(self, owner: str, container: str) -> str:
        """Return the path of the position in the output of a container."""
        return f"{self._path(owner.rpartition('/')[2])}/{container}"

    def adopt(self, owner: str, *, lost: bool = False) -> bool:
        """Claim an owner whose hsup has ended; tell whether this hsup has the claim.

        No other hsup gets it until it is given up, or this hsup ends. With `lost`, an owner
        without a directory can be claimed, too: it has dynos.
        """
        instance = self._instance(owner)
        if instance is None:
            return False
        if instance in self._locks:
            return instance != self.instance
        if lost:
            make_directories(self._path(instance))
        try:
            lock = self._lock(instance)
        except FileNotFoundError:
            return False  # its hsup has just ended in order, or another one has removed it
        if lock is None:
            return False
        self._locks[instance] = lock
        return True

    def has_left(self, owner: str) -> bool:
        """Tell whether an hsup of this registry has ended in order, and left no directory."""
        instance = self._instance(owner)
        if instance is None:
            return False
        try:
            os.stat(self._path(instance))
        except FileNotFoundError:
            return True
        return False

    def give_up(self, owner: str, *, has_containers: bool) -> None:
        """Give up the claim on an owner; remove its directory if it has no more containers."""
        instance = owner.rpartition("/")[2]
        lock = self._locks.pop(instance, None)
        if lock is None:
            return
        if not has_containers:
            self._forget(instance)
        unlock(lock)

    def leave(self, remaining: set[str]) -> None:
        """Give up all owners, this hsup's own included; those `remaining` have containers."""
        for instance in list(self._locks):
            owner = self._owner(instance)
            self.give_up(owner, has_containers=owner in remaining)

    @property
    def has_adopted(self) -> bool:
        """Tell whether an owner is claimed, and not given up."""
        return len(self._locks) > 1

    def _owner(self, instance: str) -> str:
        return f"{self.id}/{instance}"

    def _instance(self, owner: str) -> str | None:
        """Return the id of the instance of an owner, None for another registry."""
        registry, _, instance = owner.partition("/")
        return instance if registry == self.id and instance.isalnum() else None

    def _path(self, instance: str) -> str:
        return f"{self.directory}/instances/{instance}"

    def _register(self) -> str:
        while True:
            instance = os.urandom(6).hex()
            os.mkdir(self._path(instance), 0o700)
            try:
                lock = self._lock(instance)
            except FileNotFoundError:
                lock = None
            if lock is not None:  # else another hsup has claimed it, before it was locked
                self._locks[instance] = lock
                return instance

    def _forget(self, instance: str) -> None:
        """Remove the directory of an instance, which others see whole or not at all."""
        removing = f"{self.directory}/{instance}{_REMOVING}"
        try:
            os.rename(self._path(instance), removing)
        except FileNotFoundError:  # it was removed by hand
            return
        _remove(removing)

    def _lock(self, instance: str) -> int | None:
        """Lock an instance; return None if it is locked already. Raises FileNotFoundError."""
        try:
            return lock_file(f"{self._path(instance)}/lock", EXCLUSIVE_NOW, MAKE)
        except BlockingIOError:
            return None

    def _read_id(self) -> str:
        path = f"{self.directory}/household"
        if not os.path.exists(path):
            made = f"{path}.{os.urandom(6).hex()}"
            write_durably(made, os.urandom(8).hex().encode("ascii"))
            try:
                os.link(made, path)  # a rename would replace the id of an hsup that was quicker
            except FileExistsError:
                pass
            finally:
                os.unlink(made)
        with open(path, encoding="ascii") as file:
            return file.read()


def _remove(directory: str) -> None:
    """Remove a directory, which another hsup may be removing too."""
    with suppress(FileNotFoundError):
        for name in os.listdir(directory):
            with suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")
        os.rmdir(directory)
