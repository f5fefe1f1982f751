"""What is guessed of an application, and what its files say."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

_QUOTED = re.compile(r"""^\s*gem\s+["']([\w-]+)["']""", re.MULTILINE)
_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)", re.MULTILINE)


class Guess(NamedTuple):
    """Process types with their commands, config vars, and what was not understood.

    `found` is the file that they were guessed from.
    """

    found: str
    types: Mapping[str, str]
    config: Mapping[str, str] = MappingProxyType({})
    remarks: tuple[str, ...] = ()


class Files:
    """The files of a directory, of which some are read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def has(self, name: str) -> bool:
        """Tell whether there is a file, or a directory, of a name."""
        return os.path.exists(self.directory / name)

    def first(self, *patterns: str) -> Path | None:
        """Return the first file that matches one of some patterns, None without one."""
        matches = (path for one in patterns for path in sorted(self.directory.glob(one)))
        return next(matches, None)

    def text(self, name: str) -> str:
        """Return the content of a file, "" if it cannot be read as text."""
        try:
            return (self.directory / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def json(self, name: str) -> dict[str, Any]:
        """Return the object in a file of JSON, an empty one if there is none."""
        try:
            value = json.loads(self.text(name))
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def toml(self, name: str) -> dict[str, Any]:
        """Return the content of a file of TOML, empty if it has none."""
        try:
            return tomllib.loads(self.text(name))
        except (ValueError, RecursionError):
            return {}

    def gems(self) -> set[str]:
        """Return the names of the gems in a Gemfile."""
        return set(_QUOTED.findall(self.text("Gemfile")))

    def python_packages(self) -> set[str]:
        """Return the names of the packages that a Python application needs."""
        named = _REQUIREMENT.findall(self.text("requirements.txt"))
        for file, *keys in (
            ("pyproject.toml", "project", "dependencies"),
            ("pyproject.toml", "tool", "poetry", "dependencies"),
            ("Pipfile", "packages"),
        ):
            listed = _below(self.toml(file), *keys)
            named += [found[1] for one in listed if (found := _REQUIREMENT.match(str(one)))]
        return {name.lower().replace("_", "-") for name in named}


def _below(value: object, *keys: str) -> Iterable[object]:
    """Return the list, or the keys of the table, that some keys lead to; () without one."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list | dict) else ()
