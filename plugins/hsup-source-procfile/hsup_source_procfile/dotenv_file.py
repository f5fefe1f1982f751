"""Read the config vars of a .env file.

The format is that of foreman, honcho and dotenv, as far as they agree; quotes and backslashes
mean what they mean to a POSIX shell (`shell_value`). `$NAME` and `${NAME}` stay as they are
unless they are to be replaced, as foreman and `heroku local` leave them. No message has a
value in it, nor a line of the file: they are secrets.
"""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hsup.model import Fault
from hsup.validation import bounded_faults, value_problem, variable_problem
from hsup_source_procfile.shell_value import OpenQuote, Value, read_list, read_value

#: What shells write before a name: `export` in POSIX, `declare -rx` in bash, `export -i10` in zsh.
#: Other attributes than x say nothing about the value.
_EXPORT = (
    r"(?:export(?:[ \t]++-[EFLRZUilru][EFLRZUilru0-9]*+)?|declare[ \t]++-[A-Za-z]*x[A-Za-z]*+)"
)
#: What begins a line, up to its value. A name may have quotes around it, as dotenv has it.
_BEGIN = re.compile(
    rf"(?:{_EXPORT}[ \t]++)?(?P<name>'[^'\n]++'|[^\s=]++)[ \t]*+=(?P<blank>[ \t]*+)", re.ASCII
)
#: How zsh writes a variable that is a list, too: `export -T PATH path=( /usr/bin /bin )`.
_LIST_BEGIN = r"(?a:export -U?T (?P<name>\w+) \w+=\( )"
_BLANK = re.compile(r"\s*+", re.ASCII)
_LINE = re.compile(r"[^\n]*+")
#: A file of JSON: an object, or an array, which no line like [section] is.
_JSON = re.compile(r'\s*+(?:\{|\[\s*+[\[\]{"])', re.ASCII)
_QUOTES = "must be KEY=value, with every quote closed"

#: What is rarely meant literally after a dollar sign, though no braces are around it.
_USUAL_REFERENCES = frozenset({"PATH", "HOME", "PWD", "USER"})


class _Line(NamedTuple):
    """A line with its name and value; without both it has a problem, or no `=`."""

    number: int
    name: str = ""
    value: Value | None = None
    problem: str = ""


def parse(
    text: str,
    environ: Mapping[str, str] | None = None,
    numbers: dict[str, int] | None = None,
) -> tuple[dict[str, str], tuple[Fault, ...]]:
    r"""Parse a .env file; return its config vars and its faults.

    Lines end with "\n" or "\r\n". If `environ` is given, references are replaced by the values of
    earlier lines, or else by those of these variables. `numbers` gets the number of the line of
    each config var.
    """
    if _JSON.match(text):
        return {}, (Fault(place="", problem="must be lines like KEY=value, got JSON"),)
    config: dict[str, str] = {}
    variables = None if environ is None else dict(environ)
    numbers = {} if numbers is None else numbers
    faults = bounded_faults(_read(_lines(text), config, numbers, variables))
    return config, faults


def _read(
    lines: Iterator[_Line],
    config: dict[str, str],
    numbers: dict[str, int],
    environ: dict[str, str] | None,
) -> Iterator[Fault]:
    """Collect the config vars of all lines, and their numbers; yield the faults."""
    for line in lines:
        place = f"line {line.number}"
        if line.value is None:
            problem = line.problem or 'has no "=" and is ignored'
            yield Fault(place=place, problem=problem, is_warning=not line.problem)
            continue
        if name_problem := variable_problem(line.name):
            yield Fault(place=place, problem=f"a name {name_problem}")
            continue
        if text_problem := _text_problem(line.value.text):
            yield Fault(place=place, problem=f'the value of "{line.name}" {text_problem}')
            continue
        for warning in _warnings(line.name, line.value, numbers, is_expanded=environ is not None):
            yield Fault(place=place, problem=warning, is_warning=True)
        if environ is None:
            config[line.name] = line.value.text
        else:
            config[line.name] = line.value.expanded(ChainMap(config, environ))
        numbers[line.name] = line.number


def _lines(text: str) -> Iterator[_Line]:
    """Yield each line that is neither blank nor a comment; a value in quotes may have several."""
    at, number = 0, 1
    while True:
        start = _end(_BLANK, text, at)
        number += text.count("\n", at, start)
        if start == len(text):
            return
        at = _end(_LINE, text, start)
        if text[start] == "#":
            continue
        try:
            line, end = _line(text[start:at], text, start, number)
        except OpenQuote as error:
            if error.end > at:  # what is a name, and what is a value, nobody can tell from here
                yield _Line(number, problem=f"{_QUOTES}; what follows is not read")
                return
            line, end = _Line(number, problem=_QUOTES), at
        yield line
        number += text.count("\n", start, end)
        at = end


def _line(line: str, text: str, start: int, number: int) -> tuple[_Line, int]:
    """Return a line that begins at `start`, and where its value ends. Raises OpenQuote."""
    end = start + len(line)
    if line.startswith("export -") and (begin := re.match(_LIST_BEGIN, line)):
        value = read_list(text, start + begin.end())
        return _Line(number, begin["name"], value), value.end
    begin = _BEGIN.match(text, start, end)
    if begin is None:
        return _Line(number, problem=_QUOTES if "=" in line else ""), end
    name = begin["name"].strip("'")
    if begin["blank"] and text.startswith("#", begin.end()):
        return _Line(number, name, Value((), end, is_quoted=False)), end
    value = read_value(text, begin.end())
    return _Line(number, name, value), value.end


def _text_problem(text: str) -> str | None:
    """Return what is wrong with a value: escapes can write what a file of text has not."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = os.fsencode(text[error.start])[0]
        return f"must be UTF-8 text, got the byte 0x{byte:02x}"
    return value_problem(text)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    assert match  # it matches nothing, too
    return match.end()


def _warnings(
    name: str, value: Value, numbers: Mapping[str, int], *, is_expanded: bool
) -> Iterator[str]:
    if name in numbers:
        yield f'"{name}" is also on line {numbers[name]}; this line takes precedence'
    if value.unclosed:
        yield (
            f'the value of "{name}" begins with "{value.unclosed}" and is not closed on its '
            "line, or is cut at a #: put it in single quotes"
        )
    if value.has_command():
        yield (
            f'the value of "{name}" has a command in it, which is not run: '
            "put it in single quotes to keep it as it is"
        )
    if not is_expanded:
        known = _USUAL_REFERENCES | numbers.keys()
        if any(in_braces or refers_to in known for refers_to, in_braces in value.references()):
            yield (
                f'the value of "{name}" refers to another variable, which is not replaced: '
                "use --expand-env, or put it in single quotes to keep it as it is"
            )
