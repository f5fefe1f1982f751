"""The stacks of this machine: each is fetched once, when it is needed, and kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from hsup.api import Settings
from hsup.directories import SYSTEM_STATE
from hsup.errors import DriverError, UsageError
from hsup.locks import SHARED, lock
from hsup_driver_libcontainer.stacks.catalogue import Catalogue, split_wanted
from hsup_driver_libcontainer.stacks.installed import Installed
from hsup_driver_libcontainer.stacks.lock import if_unused, workspace
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.progress import StepPrinter
from hsup_driver_libcontainer.stacks.stack import Record, Stack

if TYPE_CHECKING:
    from hsup_driver_libcontainer.stacks.fetch import Workspace

STACKS_DIR = "HSUP_STACKS_DIR"
DEFAULT_STACKS_DIR = f"{SYSTEM_STATE}/stacks"
#: The separators of overlays' directories and options, and the character that escapes them.
_UNMOUNTABLE = re.compile(r"[:,\\]")


class Listed(NamedTuple):
    """A stack that is known or installed.

    `path` is its directory, None if it has to be fetched first; `record` is None if nothing
    was installed, as for a directory of the operator's.
    """

    entry: Entry
    path: str | None = None
    record: Record | None = None
    is_in_use: bool = False


class StackStore:
    """Provides stacks to drivers, and manages those on the disk."""

    def __init__(self, settings: Settings) -> None:
        """Choose the directory. Raises UsageError if HSUP_STACKS_DIR is invalid."""
        self._directory = _directory(settings)
        self.catalogue = Catalogue(self._directory)
        self._installed = Installed(self._directory)
        self._environ = settings.environ

    def obtain(self, wanted: str | None = None, progress: StepPrinter | None = None) -> Stack:
        """Return a stack that is ready for use; fetch it first if it is not installed.

        `wanted` is `NAME` or `NAME:VERSION`, None the primary stack. Blocks.
        The stack stays on the disk until it is closed. Raises DriverError.
        """
        with self._telling():
            entry = self.catalogue.find(wanted)
            if is_directory(entry):
                return _open_directory(entry)
            return self._installed.open(entry) or self._fetch(entry, progress)

    def look(self, wanted: str | None) -> Stack | None:
        """Return a stack as `obtain` does, or None if it would have to be fetched."""
        with self._telling():
            entry = self.catalogue.find(wanted)
            return _open_directory(entry) if is_directory(entry) else self._installed.open(entry)

    def pull(self, wanted: str | None, progress: StepPrinter | None = None) -> tuple[Entry, bool]:
        """Fetch a stack that is not installed, or whose image in a registry has changed.

        Returns its entry, and whether anything was fetched. Raises DriverError.
        """
        with self._telling():
            entry = self.catalogue.find(wanted)
            if is_directory(entry):
                _open_directory(entry).close()
                return entry, False
            present = self._installed.open(entry)
            if present is None:
                self._fetch(entry, progress).close()
                return entry, True
            present.close()
            if entry.image is None:
                return entry, False
            with self._fetch(entry, progress, unless=present.record) as stack:
                return entry, stack.record != present.record

    def add(self, entry: Entry, progress: StepPrinter | None = None) -> None:
        """Import a stack: a directory is used where it is, anything else is fetched."""
        with self._telling():
            if is_directory(entry):
                if entry.checksum:
                    raise UsageError(
                        "a directory cannot have a checksum", hint="leave out --checksum"
                    )
                _open_directory(entry).close()
            else:
                self._fetch(entry, progress, is_anew=True).close()
            self.catalogue.add_import(entry)

    def remove(self, wanted: str) -> tuple[str, ...]:
        """Remove a stack, or all its versions if none is given; return their names.

        An imported directory is forgotten, but not deleted. Raises DriverError, before
        anything is removed, if one is in use or none is installed.
        """
        name, version = split_wanted(wanted)
        with self._telling():
            records = {
                path: record
                for path, record in self._installed.records().items()
                if record.name == name and version in (None, record.version)
            }
            imports = [
                entry
                for entry in self.catalogue.imported()
                if entry.name == name and version in (None, entry.version)
            ]
            if not records and not imports:
                raise DriverError(f'stack "{wanted}" is not installed', hint="run hsup stacks list")
            self._remove(wanted, records, imports)
            return tuple(sorted({str(one) for one in (*records.values(), *imports)}))

    def list(self) -> tuple[Listed, ...]:
        """Return the known stacks, and those that are installed but not known any more."""
        with self._telling():
            records = self._installed.records()
            entries = [*self.catalogue.entries()]
            if not any(entry.primary for entry in entries):
                default = self.catalogue.find(None)
                entries = [entry for entry in entries if entry != default]
                entries.insert(0, default._replace(primary=True))
            known = tuple(_listed(entry, records) for entry in entries)
            shown = {one.path for one in known}
            others = {path: record for path, record in records.items() if path not in shown}
            return known + tuple(
                Listed(record.entry(), path, record, is_in_use=_is_in_use(path))
                for path, record in others.items()
            )

    def sweep(self) -> tuple[str, ...]:
        """Remove replaced and incomplete stacks that are not in use; return what they were."""
        with self._telling():
            return self._installed.sweep()

    def _fetch(
        self,
        entry: Entry,
        progress: StepPrinter | None,
        *,
        unless: Record | None = None,
        is_anew: bool = False,
    ) -> Stack:
        """Fetch a stack, only once if several processes want it at the same time.

        `unless` is the record of an installed one that may be out of date; `is_anew` fetches
        it even if it is installed.
        """
        # Only fetching needs these imports, which take as long as a fast `hsup run`.
        from hsup.archives.limits import read_limits
        from hsup_driver_libcontainer.stacks.fetch import Workspace
        from hsup_driver_libcontainer.stacks.tools import Tools

        reporter = progress or StepPrinter()
        directory = self._installed.workspace(entry)
        waiting = f"waiting for another hsup to fetch stack {entry}"
        with workspace(directory, lambda: reporter.say(waiting)) as descriptor:
            stack = None if is_anew else self._installed.open(entry)
            if stack is None or stack.record == unless:
                rate = read_limits(self._environ).rate
                tools = Tools(self._environ, descriptor)
                place = Workspace(
                    directory=directory, tools=tools, progress=reporter, min_rate=rate
                )
                with stack or nullcontext():
                    self._fetch_into(place, entry, stack.record.digest if stack else None)
                stack = self._reopen(entry)
        self._installed.sweep()
        return stack

    def _fetch_into(self, workspace: Workspace, entry: Entry, current: str | None) -> None:
        """Install a stack, unless it is an image whose digest is still `current`."""
        from hsup_driver_libcontainer.stacks.fetch import fetch

        made = fetch(entry, workspace, current)
        if made is not None:
            self._installed.place(made, entry)

    def _reopen(self, entry: Entry) -> Stack:
        stack = self._installed.open(entry)
        assert stack, f"stack {entry} was removed while its workspace was locked"
        return stack

    def _remove(self, wanted: str, records: Mapping[str, Record], imports: Sequence[Entry]) -> None:
        directories = [entry.url for entry in imports if is_directory(entry)]
        with ExitStack() as locks:
            for path in (*records, *directories):
                if not locks.enter_context(if_unused(path)):
                    hint = "stop the hsup that runs dynos on it first"
                    raise DriverError(f'stack "{wanted}" is in use', hint=hint)
            self.catalogue.drop_imports(imports)
            for path in records:
                self._installed.remove(path)
        self._installed.sweep()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = f"set {STACKS_DIR} to another directory"
            if isinstance(error, PermissionError):
                hint = "run hsup as root"
            what = error.filename or self._directory
            text = f"cannot use the stacks in {self._directory}: {what}: {error.strerror}"
            raise DriverError(text, hint=hint) from error


def is_directory(entry: Entry) -> bool:
    """Tell whether a stack is a directory of the operator's, which is used where it is."""
    return entry.url.startswith("/") and os.path.isdir(entry.url)


def _open_directory(entry: Entry) -> Stack:
    from hsup_driver_libcontainer.stacks.root import check_root

    if _UNMOUNTABLE.search(entry.url):
        problem = (
            f'stack "{entry}" is in {entry.url!r}, but overlays cannot have : , or \\ in paths'
        )
        raise DriverError(problem, hint="rename the directory, or bind-mount it elsewhere")
    check_root(entry.url, str(entry))
    descriptor = lock(entry.url, SHARED)
    record = Record(entry.name, entry.version, entry.url, None, None, None, 0)
    return Stack(record, entry.url, descriptor)


def _listed(entry: Entry, records: Mapping[str, Record]) -> Listed:
    if is_directory(entry):
        return Listed(entry, entry.url, is_in_use=_is_in_use(entry.url))
    path = next((path for path, record in records.items() if record.is_of(entry)), None)
    if path is None:
        return Listed(entry)
    return Listed(entry, path, records[path], is_in_use=_is_in_use(path))


def _is_in_use(path: str) -> bool:
    with if_unused(path) as is_unused:
        return not is_unused


def _directory(settings: Settings) -> str:
    directory = settings.environ.get(STACKS_DIR) or DEFAULT_STACKS_DIR
    if not directory.startswith("/") or _UNMOUNTABLE.search(directory):
        # skopeo separates its arguments by colons as well.
        problem = f"must be an absolute path without : , and \\, got {directory!r}"
        raise UsageError(f"{STACKS_DIR} {problem}", hint=f"set it to {DEFAULT_STACKS_DIR}")
    return directory.rstrip("/") or "/"
