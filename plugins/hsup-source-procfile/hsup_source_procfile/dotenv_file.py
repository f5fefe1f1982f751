"""Read the config vars of a .env file.

The format is that of python-dotenv, without its interpolation: `$NAME` and
`${NAME}` stay as they are, as foreman and `heroku local` leave them. No message
has a value in it, nor a line of the file: they are secrets.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hsup.model import Fault
from hsup.validation import variable_problem

if TYPE_CHECKING:
    from types import ModuleType

    from dotenv.parser import Binding, Original


def parse(text: str) -> tuple[dict[str, str], tuple[Fault, ...]]:
    r"""Return the config vars of a .env file, and everything wrong with it.

    Lines end with "\n".
    """
    config: dict[str, str] = {}
    lines: dict[str, int] = {}
    faults: list[Fault] = []
    for line, binding in _bindings(text):
        fault = _fault(line, binding, lines)
        if fault is not None:
            faults.append(fault)
        if binding.key is not None and binding.value is not None:
            config[binding.key] = binding.value
            lines[binding.key] = line
    return config, tuple(faults)


def _bindings(text: str) -> Iterator[tuple[int, Binding]]:
    for binding in _parser().parse_stream(io.StringIO(text)):
        yield _line_of(binding.original), binding


def _parser() -> ModuleType:
    """Import the parser alone: the rest of its package takes 12 ms, with logging and tempfile."""
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    package = find_spec("dotenv")
    assert package is not None
    assert package.submodule_search_locations
    path = os.path.join(package.submodule_search_locations[0], "parser.py")
    spec = spec_from_file_location("dotenv.parser", path)
    assert spec is not None
    assert spec.loader is not None
    parser = module_from_spec(spec)
    spec.loader.exec_module(parser)
    return parser


def _line_of(original: Original) -> int:
    """Return the number of the first line that is not blank."""
    blank = len(original.string) - len(original.string.lstrip())
    return original.line + original.string.count("\n", 0, blank)


def _fault(line: int, binding: Binding, lines: dict[str, int]) -> Fault | None:
    place = f"line {line}"
    if binding.error:
        return Fault(place=place, problem="must be KEY=value, with every quote closed")
    if binding.key is None:
        return None
    if binding.value is None:
        return Fault(place=place, problem='has no "=" and is ignored', is_warning=True)
    problem = variable_problem(binding.key.strip()) or variable_problem(binding.key)
    if problem:
        return Fault(place=place, problem=f"a name {problem}")
    if binding.key in lines:
        problem = f'"{binding.key}" is on line {lines[binding.key]} too; this line counts'
        return Fault(place=place, problem=problem, is_warning=True)
    return None
