"""Which hsups live, and which are no more: those that share one folder, and one engine.

    /var/lib/hsup/docker/ENGINE/
        household               an id that no other folder has
        instances/ID/lock       locked (flock(2)) as long as the hsup with that id lives
        instances/ID/CONTAINER  how much of its output was passed on, see `position`

A container's label says HOUSEHOLD/ID. So no hsup takes another one for dead only
because it cannot see it: on another machine, of another user, in a container.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from hsup.durable import write_durably
from hsup.errors import DriverError
from hsup.folders import make_folders, state_folder
from hsup.locks import EXCLUSIVE_NOW, MAKE, lock_file, unlock

FOLDER = "HSUP_DOCKER_DIR"

#: What the folder of an owner that is being forgotten ends with.
_GOING = ".going"


class InstanceRegistry:
    """The hsups of a folder that use an engine, and this one among them.

    Raises DriverError if the folder cannot be written.
    """

    def __init__(self, environ: Mapping[str, str], engine: str) -> None:
        base = environ.get(FOLDER) or state_folder("docker", environ)
        self.folder = f"{base}/{engine.replace('/', '-')}"
        self._locks: dict[str, int] = {}
        try:
            make_folders(f"{self.folder}/instances")
            for name in os.listdir(self.folder):
                if name.endswith(_GOING):  # of an hsup that was killed meanwhile
                    _remove(f"{self.folder}/{name}")
            self.id = self._read_id()
            self.instance = self._be_born()
        except OSError as error:
            text = f"cannot write to the directory {base}: {error.strerror}"
            raise DriverError(text, hint=f"set {FOLDER} to another directory") from error

    @property
    def owner(self) -> str:
        """Return what the label of this hsup's containers says."""
        return self._owner(self.instance)

    @property
    def owners(self) -> Sequence[str]:
        """Return what the labels of other hsups say, dead or alive."""
        found = os.listdir(f"{self.folder}/instances")
        return [self._owner(instance) for instance in found if instance != self.instance]

    def position_file(self, owner: str, container: str) -> str:
        """Return where it is kept how much of a container's output was passed on."""
        return f"{self._path(owner.rpartition('/')[2])}/{container}"

    def inherit(self, owner: str, *, lost: bool = False) -> bool:
        """Tell whether what has this owner is ours now: its hsup is no more, or we have it.

        Nobody else inherits it until it is given up, or this hsup is no more. `lost` is for
        an owner that has dynos, and is dead also where its folder is gone.
        """
        instance = self._instance(owner)
        if instance is None:
            return False
        if instance in self._locks:
            return instance != self.instance
        if lost:
            make_folders(self._path(instance))
        try:
            lock = self._lock(instance)
        except FileNotFoundError:
            return False  # it has just left, or somebody else has forgotten it
        if lock is None:
            return False
        self._locks[instance] = lock
        return True

    def has_left(self, owner: str) -> bool:
        """Tell whether nothing is kept of an hsup of this household: it has ended in order."""
        instance = self._instance(owner)
        if instance is None:
            return False
        try:
            os.stat(self._path(instance))
        except FileNotFoundError:
            return True
        return False

    def give_up(self, owner: str, *, has_containers: bool) -> None:
        """Let another hsup inherit; forget an owner that has no containers any more."""
        instance = owner.rpartition("/")[2]
        lock = self._locks.pop(instance, None)
        if lock is None:
            return
        if not has_containers:
            self._forget(instance)
        unlock(lock)

    def leave(self, remaining: set[str]) -> None:
        """Give up all that was inherited, and oneself; `remaining` owners have containers."""
        for instance in list(self._locks):
            owner = self._owner(instance)
            self.give_up(owner, has_containers=owner in remaining)

    @property
    def has_inherited(self) -> bool:
        """Tell whether anything was inherited, and not given up."""
        return len(self._locks) > 1

    def _owner(self, instance: str) -> str:
        return f"{self.id}/{instance}"

    def _instance(self, owner: str) -> str | None:
        """Return the id of an hsup, None if it is of another household."""
        household, _, instance = owner.partition("/")
        return instance if household == self.id and instance.isalnum() else None

    def _path(self, instance: str) -> str:
        return f"{self.folder}/instances/{instance}"

    def _be_born(self) -> str:
        while True:
            instance = os.urandom(6).hex()
            os.mkdir(self._path(instance), 0o700)
            try:
                lock = self._lock(instance)
            except FileNotFoundError:
                lock = None
            if lock is not None:  # else somebody else was quicker, and takes it for dead
                self._locks[instance] = lock
                return instance

    def _forget(self, instance: str) -> None:
        """Remove all that is kept of an owner, which nobody sees in part."""
        going = f"{self.folder}/{instance}{_GOING}"
        try:
            os.rename(self._path(instance), going)
        except FileNotFoundError:  # somebody has removed it by hand
            return
        _remove(going)

    def _lock(self, instance: str) -> int | None:
        """Return a lock; None if somebody else has it. Raises FileNotFoundError."""
        try:
            return lock_file(f"{self._path(instance)}/lock", EXCLUSIVE_NOW, MAKE)
        except BlockingIOError:
            return None

    def _read_id(self) -> str:
        path = f"{self.folder}/household"
        if not os.path.exists(path):
            made = f"{path}.{os.urandom(6).hex()}"
            write_durably(made, os.urandom(8).hex().encode("ascii"))
            try:
                os.link(made, path)  # a rename would replace that of somebody who was quicker
            except FileExistsError:
                pass
            finally:
                os.unlink(made)
        with open(path, encoding="ascii") as file:
            return file.read()


def _remove(folder: str) -> None:
    """Remove the folder of an owner, which another hsup may be removing too."""
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                os.unlink(f"{folder}/{name}")
        os.rmdir(folder)
