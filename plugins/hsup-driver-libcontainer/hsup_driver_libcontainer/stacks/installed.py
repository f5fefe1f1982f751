"""The directories of installed stacks: which is the newest, and whether one is in use.

    installed/NAME@VERSION+N/    a complete stack; the greatest N has replaced the others
    fetching/NAME@VERSION/       one that is being fetched
    fetching/NAME@VERSION+N/     one that is being removed

A process that uses a directory has a lock on it. A sweep removes what has no lock: all of
`fetching` except for downloads that can be resumed, and what was replaced in `installed`.
"""

from __future__ import annotations

import os

from hsup.directories import make_directories
from hsup.locks import SHARED, lock
from hsup_driver_libcontainer.stacks.lock import if_unused, is_resumable
from hsup_driver_libcontainer.stacks.manifest import Entry, check_word
from hsup_driver_libcontainer.stacks.stack import Record, Stack, read_record


class Installed:
    """The installed stacks of a directory."""

    def __init__(self, directory: str) -> None:
        self._installed = os.path.join(directory, "installed")
        self._fetching = os.path.join(directory, "fetching")

    def open(self, entry: Entry) -> Stack | None:
        """Return a stack; None if it is not installed, or was fetched from elsewhere."""
        while directory := self._newest(_key(entry)):
            path = os.path.join(self._installed, directory)
            try:
                descriptor = lock(path, SHARED)
            except FileNotFoundError:
                # Another process has just removed it.
                continue
            stack = Stack(read_record(path), path, descriptor)
            if stack.record.is_of(entry):
                return stack
            stack.close()
            return None
        return None

    def workspace(self, entry: Entry) -> str:
        """Return the path of the directory to fetch a stack in, which has to be locked."""
        return os.path.join(self._fetching, _key(entry))

    def place(self, directory: str, entry: Entry) -> None:
        """Install a complete stack in one step; the caller has the lock on its workspace."""
        make_directories(self._installed)
        newest = self._newest(_key(entry))
        number = _number(newest) + 1 if newest else 1
        os.rename(directory, os.path.join(self._installed, f"{_key(entry)}+{number}"))

    def records(self) -> dict[str, Record]:
        """Return the newest directory of each stack with its record."""
        paths = (os.path.join(self._installed, directory) for directory in self._newest_of_all())
        return {path: read_record(path) for path in paths}

    def remove(self, path: str) -> None:
        """Uninstall a stack in one step; the caller has the exclusive lock on its directory.

        `sweep` deletes its files once that lock is released.
        """
        make_directories(self._fetching)
        os.rename(path, os.path.join(self._fetching, os.path.basename(path)))

    def sweep(self) -> tuple[str, ...]:
        """Remove replaced and incomplete stacks that have no lock; return what they were."""
        replaced = set(_names(self._installed)) - set(self._newest_of_all())
        for name in replaced:
            path = os.path.join(self._installed, name)
            with if_unused(path) as is_unused:
                if is_unused:
                    self.remove(path)
        swept = []
        for name in sorted(_names(self._fetching)):
            path = os.path.join(self._fetching, name)
            with if_unused(path) as is_unused:
                if is_unused and not is_resumable(path):
                    _remove_tree(path)
                    swept.append(f"stack {name}")
        return tuple(swept)

    def _newest(self, key: str) -> str | None:
        names = [name for name in _names(self._installed) if name.rpartition("+")[0] == key]
        return max(names, key=_number, default=None)

    def _newest_of_all(self) -> list[str]:
        numbered = sorted(_names(self._installed), key=_number)
        return list({name.rpartition("+")[0]: name for name in numbered}.values())


def _key(entry: Entry) -> str:
    """Return the directory name of a stack. Raises ValueError for an unsafe name."""
    for word in filter(None, (entry.name, entry.version)):
        if problem := check_word("a name", word):
            raise ValueError(problem)
    return f"{entry.name}@{entry.version or ''}"


def _number(directory: str) -> int:
    return int(directory.rpartition("+")[2])


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _remove_tree(path: str) -> None:
    import shutil

    shutil.rmtree(path)
