"""Find the entry points of a group, fast.

importlib.metadata does the same, but its import alone takes 29 ms of the 70
that a whole `hsup run` may take: it imports email, csv and zipfile. For the same
reason there is no pathlib here. Packages in a zip file are not found.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple


class EntryPoint(NamedTuple):
    """One line `name = module:attribute` of a distribution's entry_points.txt."""

    name: str
    value: str
    metadata: str

    @property
    def distribution(self) -> str:
        """Return the name of the distribution, as pip takes it."""
        return self._distribution[0]

    @property
    def version(self) -> str:
        """Return the version of the distribution."""
        return self._distribution[1]

    @property
    def package(self) -> str:
        """Return the name of the top-level package."""
        return self.value.partition(":")[0].partition(".")[0]

    def load(self) -> object:
        """Import the object that the entry point names; raises whatever that raises."""
        module_name, _, attribute = self.value.partition(":")
        __import__(module_name)
        target: object = sys.modules[module_name]
        for name in filter(None, attribute.split(".")):
            target = getattr(target, name)
        return target

    @property
    def _distribution(self) -> tuple[str, str]:
        """Return the name and version (packaging.python.org, Recording installed projects)."""
        stem, suffix = os.path.splitext(os.path.basename(self.metadata))
        name, _, version = stem.rpartition("-")
        if name and suffix == ".dist-info":
            return name.replace("_", "-"), version
        headers = _headers(self.metadata)
        return headers.get("Name", stem), headers.get("Version", "unknown")


def _headers(metadata: str) -> dict[str, str]:
    """Return a distribution's core metadata, up to the empty line before the README."""
    lines = takewhile(str.strip, _text(os.path.join(metadata, "PKG-INFO")).splitlines())
    fields = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in fields}


def entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group, each distribution only once."""
    by_distribution: dict[str, list[EntryPoint]] = {}
    for directory in dict.fromkeys(sys.path):
        for metadata in _metadata_directories(directory or "."):
            lines = list(_lines_of(metadata, group))
            points = [EntryPoint(name, value, metadata) for name, value in lines]
            if points:  # the first of its name on sys.path counts
                by_distribution.setdefault(_normal(points[0].distribution), points)
    return [point for points in by_distribution.values() for point in points]


def _normal(name: str) -> str:
    """Return the normalized name of a distribution (PEP 503)."""
    return name.replace("_", "-").replace(".", "-").lower()


def _metadata_directories(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            yield os.path.join(directory, name)


def _lines_of(metadata: str, group: str) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each entry point (packaging.python.org, Entry points)."""
    text = _text(os.path.join(metadata, "entry_points.txt"))
    if group not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].strip()


def _text(path: str) -> str:
    """Return the content of a file, "" if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""
