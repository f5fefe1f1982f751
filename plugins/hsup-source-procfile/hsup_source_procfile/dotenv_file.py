"""Read the config vars of a .env file.

The format is that of python-dotenv, without its interpolation: `$NAME` and
`${NAME}` stay as they are, as foreman and `heroku local` leave them. No message
has a value in it, nor a line of the file: they are secrets.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from hsup.model import Fault
from hsup.validation import bounded_faults, variable_problem

if TYPE_CHECKING:
    from types import ModuleType

    from dotenv.parser import Original

#: Lines that all readers of such files read alike: blank, a comment, a value without escapes.
_PLAIN_LINE = r"""[ \t]*(?:\#[^\r\n]*)?
    |(?P<key>[A-Za-z_][A-Za-z0-9_]*)=
    (?P<quote>['"])?(?P<value>(?(quote)[^'"\\\r\n]*|[^\s'"\#\\]*))(?(quote)(?P=quote))"""


class _Line(NamedTuple):
    """A variable and its line; key and value are None if they are missing."""

    number: int
    key: str | None
    value: str | None
    is_faulty: bool = False


def parse(text: str) -> tuple[dict[str, str], tuple[Fault, ...]]:
    r"""Parse a .env file; return its config vars and its faults.

    Lines end with "\n".
    """
    config: dict[str, str] = {}
    faults = bounded_faults(_read(_plain_lines(text) or _lines(text), config))
    return config, faults


def _read(lines: Iterable[_Line], config: dict[str, str]) -> Iterator[Fault]:
    """Collect the config vars of all lines in `config`; yield the faults."""
    numbers: dict[str, int] = {}
    for line in lines:
        fault = _fault(line, numbers)
        if fault is not None:
            yield fault
        if line.key is not None and line.value is not None:
            config[line.key] = line.value
            numbers[line.key] = line.number


def _plain_lines(text: str) -> list[_Line]:
    """Return the variables of a file; none if a line is not plain.

    Most files are plain, and the library takes a twentieth of the time of a whole `hsup run`.
    """
    plain_lines = []
    plain = re.compile(
        _PLAIN_LINE, re.VERBOSE
    )  # not at import: most applications have no such file
    for number, line in enumerate(text.split("\n"), 1):
        match = plain.fullmatch(line)
        if not match:
            return []
        if match["key"]:
            plain_lines.append(_Line(number, match["key"], match["value"]))
    return plain_lines


def _lines(text: str) -> Iterator[_Line]:
    for binding in _parser().parse_stream(io.StringIO(text)):
        yield _Line(_number_of(binding.original), binding.key, binding.value, binding.error)


def _parser() -> ModuleType:
    """Import only the parser: the rest of its package, with logging and tempfile, takes 12 ms."""
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


def _number_of(original: Original) -> int:
    """Return the number of the first line of a binding that is not blank."""
    blank = len(original.string) - len(original.string.lstrip())
    return original.line + original.string.count("\n", 0, blank)


def _fault(line: _Line, numbers: dict[str, int]) -> Fault | None:
    place = f"line {line.number}"
    if line.is_faulty:
        return Fault(place=place, problem="must be KEY=value, with every quote closed")
    if line.key is None:
        return None
    if line.value is None:
        return Fault(place=place, problem='has no "=" and is ignored', is_warning=True)
    problem = variable_problem(line.key.strip()) or variable_problem(line.key)
    if problem:
        return Fault(place=place, problem=f"a name {problem}")
    if line.key in numbers:
        problem = f'"{line.key}" is also on line {numbers[line.key]}; this line takes precedence'
        return Fault(place=place, problem=problem, is_warning=True)
    return None
