"""What is guessed of an application, and what its files say."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

#: What no line of a Procfile may have; a tab is a blank.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
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
        #: What is wrong with those that were read, by name.
        self.faults: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Tell whether there is a file, or a directory, of a name."""
        return os.path.exists(self.directory / name)

    def matching(self, *patterns: str) -> Iterator[Path]:
        """Yield the files that match some patterns, from the directory, in their order."""
        for one in patterns:
            yield from (
                path.relative_to(self.directory) for path in sorted(self.directory.glob(one))
            )

    def text(self, name: str) -> str:
        """Return the content of a file, "" if it cannot be read as text, or is not there."""
        try:
            return self._read(name)
        except UnicodeDecodeError:
            self.faults[name] = f"{name}: must be UTF-8 text"
        except FileNotFoundError:
            pass
        except OSError as error:
            self.faults[name] = f"{name}: cannot be read: {error.strerror}"
        return ""

    def code(self, path: Path) -> str:
        """Return the content of one of many files, of which nothing is told: "" without any."""
        try:
            return self._read(path)
        except (OSError, UnicodeDecodeError):
            return ""

    def _read(self, path: Path | str) -> str:
        return (self.directory / path).read_text(encoding="utf-8-sig")

    def json(self, name: str) -> dict[str, Any]:
        """Return the object in a file of JSON, an empty one if there is none."""
        text = self.text(name)
        if name in self.faults:
            return {}
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            self.faults[name] = f"{name}: {place}: must be JSON: {error.msg.lower()}"
            return {}
        except (ValueError, RecursionError) as error:
            self.faults[name] = f"{name}: must be JSON: {_reason(error)}"
            return {}
        if not isinstance(value, dict):
            self.faults[name] = f"{name}: must be an object of JSON"
            return {}
        return value

    def scripts(self) -> dict[str, str]:
        """Return the scripts of `package.json` by name."""
        scripts = self.json("package.json").get("scripts") if self.has("package.json") else None
        named = scripts.items() if isinstance(scripts, dict) else ()
        return {name: line for name, line in named if isinstance(line, str)}

    def toml(self, name: str) -> dict[str, Any]:
        """Return the content of a file of TOML, empty if it has none."""
        try:
            return tomllib.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            self.faults[name] = f"{name}: must be TOML: {_reason(error)}"
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
            named += [found[1] for one in listed if (found := _REQUIREMENT.match(one))]
        return {name.lower().replace("_", "-") for name in named}


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _below(value: object, *keys: str) -> Iterable[str]:
    """Return the texts of the list, or the keys of the table, that some keys lead to."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    listed = value if isinstance(value, list | dict) else ()
    return (one for one in listed if isinstance(one, str))
