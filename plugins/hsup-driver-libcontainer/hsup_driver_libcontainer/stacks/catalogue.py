"""The known stacks: those of manifest.yml, the imported ones, and Heroku's."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from hsup.errors import DriverError, UsageError
from hsup.model import IMAGE_SCHEME, Fault
from hsup_driver_libcontainer.stacks.lock import rewriting
from hsup_driver_libcontainer.stacks.manifest import Entry, Parsed
from hsup_driver_libcontainer.stacks.version import ordered

#: The stack of releases that name none, unless another one is primary.
DEFAULT_STACK = "heroku-24"
#: Heroku's names for its stacks; the images are tagged with the number.
_HEROKU = re.compile(r"(heroku|cedar)-([0-9]+)")
#: Heroku's stack for applications that are container images, without files to put on a stack.
_CONTAINER = "container"


class ManifestRejected(DriverError):
    """The manifest has errors that its author has to fix."""

    def __init__(self, path: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{path}: {faults[0]}{more}")


class Catalogue:
    """The known stacks of a directory.

    `manifest.yml` is the operator's, and never written. `imported.json` has the stacks of
    `hsup stacks import`, and takes precedence. `.manifest.json` caches the manifest, with
    a stamp of the file that it was read from: reading YAML would take an eighth of the
    time of `hsup run`.
    """

    def __init__(self, directory: str) -> None:
        self.manifest_path = os.path.join(directory, "manifest.yml")
        self._compiled_path = os.path.join(directory, ".manifest.json")
        self._imported_path = os.path.join(directory, "imported.json")

    def find(self, wanted: str | None) -> Entry:
        """Return the stack `NAME[:VERSION]`; None asks for the primary one.

        Of several versions it is the primary one, else the highest. Raises ManifestRejected,
        UsageError for an invalid name, and DriverError for an unknown stack.
        """
        entries = self.entries()
        if wanted is None:
            primary = next((entry for entry in entries if entry.primary), None)
            return primary or self.find(DEFAULT_STACK)
        name, version = split_wanted(wanted)
        matching = [
            entry for entry in entries if entry.name == name and version in (None, entry.version)
        ]
        if matching:
            return max(matching, key=lambda entry: (entry.primary, ordered(entry.version)))
        return _of_heroku(name, version) or self._refuse(wanted, entries)

    def entries(self) -> tuple[Entry, ...]:
        """Return all stacks of the manifest and all imported ones. Raises ManifestRejected."""
        imported = self.imported()
        manifest = self._manifest()
        if any(entry.primary for entry in imported):
            manifest = tuple(entry._replace(primary=False) for entry in manifest)
        known = {entry[:2] for entry in imported}
        return (*imported, *(entry for entry in manifest if entry[:2] not in known))

    def parse_manifest(self) -> Parsed:
        """Return the stacks of manifest.yml, and all its faults."""
        from hsup_driver_libcontainer.stacks.manifest import parse

        try:
            with open(self.manifest_path, encoding="utf-8-sig") as file:
                return parse(file.read())
        except FileNotFoundError:
            return Parsed((), ())
        except UnicodeDecodeError as error:
            return Parsed((), (Fault("", f"must be UTF-8 text: {error.reason}"),))
        except OSError as error:
            text = f"cannot read {self.manifest_path}: {error.strerror}"
            raise DriverError(text, hint="allow hsup's user to read it") from error

    def imported(self) -> tuple[Entry, ...]:
        """Return the imported stacks."""
        entries = _read_json(self._imported_path) or []
        return tuple(Entry(*fields) for fields in entries)

    def add_import(self, entry: Entry) -> None:
        """Note an imported stack; replace one of the same name and version."""
        with rewriting(self._imported_path) as write:
            others = [other for other in self.imported() if other[:2] != entry[:2]]
            if entry.primary:
                others = [other._replace(primary=False) for other in others]
            write(json.dumps([*others, entry]))

    def drop_imports(self, dropped: Sequence[Entry]) -> None:
        """Forget imported stacks."""
        with rewriting(self._imported_path) as write:
            write(json.dumps([entry for entry in self.imported() if entry not in dropped]))

    def _manifest(self) -> tuple[Entry, ...]:
        stamp = _stamp(self.manifest_path)
        if stamp is None:
            return ()
        compiled = _read_json(self._compiled_path)
        if compiled and compiled["stamp"] == stamp:
            return tuple(Entry(*fields) for fields in compiled["entries"])
        parsed = self.parse_manifest()
        errors = [fault for fault in parsed.faults if not fault.is_warning]
        if errors:
            raise ManifestRejected(self.manifest_path, errors)
        # A user who may not write here reads YAML each time.
        if os.access(os.path.dirname(self._compiled_path), os.W_OK):
            with rewriting(self._compiled_path) as write:
                write(json.dumps({"stamp": stamp, "entries": parsed.entries}))
        return parsed.entries

    def _refuse(self, wanted: str, entries: Sequence[Entry]) -> Entry:
        if wanted == _CONTAINER:
            text = f'stack "{wanted}" is for container images, which this driver cannot run'
            raise DriverError(text, hint="use the docker driver: -d docker")
        known = ", ".join(sorted({str(entry) for entry in entries} | {DEFAULT_STACK}))
        raise DriverError(
            f'stack "{wanted}" is not known; the known stacks are {known}',
            hint=f"add it to {self.manifest_path}, or run hsup stacks import {wanted} PATH|URL",
        )


def split_wanted(wanted: str) -> tuple[str, str | None]:
    """Return the name and the version of `NAME[:VERSION]`. Raises UsageError."""
    from hsup_driver_libcontainer.stacks.manifest import check_word

    name, colon, version = wanted.partition(":")
    words = [("the name of a stack", name), *([("its version", version)] if colon else [])]
    for what, word in words:
        problem = check_word(what, word)
        if problem:
            raise UsageError(problem)
    return name, version or None


def _of_heroku(name: str, version: str | None) -> Entry | None:
    """Return a stack of Heroku's: heroku-24 is the image heroku/heroku:24, cedar-14 cedar:14.

    `heroku-24:24.v123` is one build of it; see https://hub.docker.com/r/heroku/heroku/tags.
    """
    match = _HEROKU.fullmatch(name)
    if not match:
        return None
    tag = version or match[2]
    return Entry(name, version, f"{IMAGE_SCHEME}docker.io/heroku/{match[1]}:{tag}")


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]


def _read_json(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
