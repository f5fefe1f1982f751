r"""Read the lines of a Procfile.

There are two formats. The classic one is a regular expression,
`^[[:space:]]*([a-zA-Z0-9_-]+):?\s+(.*)[[:space:]]*`; the newer one, of Cloud
Native Buildpacks, is specified in
https://github.com/heroku/buildpacks-procfile/blob/main/SPEC.md. A line is
accepted if either format accepts it, with a warning if the other one does not. A line
that neither accepts is a fault, although the classic format ignores it. So is what the
classic format takes for a process that its author did not name: a line without a colon,
which is prose, a blank before the colon, which becomes part of the command, and a name that
begins with `-`, which is the rest of a command that was continued with a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from hsup.model import RELEASE_TYPE, Command, Fault, ProcessType
from hsup.validation import MAX_PROCESSES, bounded_faults
from hsup.visible import visible

MAX_NAME_LENGTH = 128
_MAX_NEWER_NAME_LENGTH = 63
_MAX_SHOWN_LENGTH = 60
_NEWER = "newer platforms (Cloud Native Buildpacks)"

_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9_-]+):(?P<blank>\s*)(?P<command>.*)")
_END = re.compile(r"\r\n?|\n")
#: Prose, and no process type called "http".
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BLANK_BEFORE_COLON = re.compile(r"[A-Za-z0-9_-]+\s+:")


class _Entry(NamedTuple):
    line: int
    name: str
    blank: str
    command: str


def parse(text: str) -> tuple[tuple[ProcessType, ...], tuple[Fault, ...]]:
    r"""Parse a Procfile; return its process types and its faults.

    Lines end with "\n", "\r\n" or "\r". Names are kept as written, and each command is a line for
    the shell. A process type has the quantity 1, the release phase 0.
    """
    entries: dict[str, _Entry] = {}
    faults = bounded_faults(_read(text, entries))
    if not entries and not faults:
        problem = 'Procfile has no process type; write a line like "web: command"'
        return (), (Fault(place="", problem=problem),)
    if len(entries) > MAX_PROCESSES:
        problem = f"must have at most {MAX_PROCESSES} process types, got {len(entries)}"
        return (), (*faults, Fault(place="", problem=problem))
    return tuple(_process_type(entry) for entry in entries.values()), faults


def _read(text: str, entries: dict[str, _Entry]) -> Iterator[Fault]:
    """Collect the entries of all lines in `entries`, by name; yield the faults."""
    for number, line in _lines(text):
        entry = _parse_line(number, line)
        if isinstance(entry, Fault):
            yield entry
            continue
        yield from _warnings(entry, entries.get(entry.name))
        entries[entry.name] = entry


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield every line that is neither empty nor a comment, with its number.

    What follows a backslash at the end of a line is left out: it is part of a fault.
    """
    is_continued = False
    for number, line in enumerate(_END.split(text), start=1):
        stripped = line.strip()
        is_part, is_continued = is_continued, _is_continued(stripped)
        if stripped and not stripped.startswith("#") and not is_part:
            yield number, stripped


def _is_continued(line: str) -> bool:
    """Tell whether a line ends with a backslash that a shell would not take literally."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1 and not line.startswith("#")


def _parse_line(number: int, line: str) -> _Entry | Fault:
    match = _ENTRY.fullmatch(line)
    if match is None:
        problem = f'must be "name: command", got {_shown(line)}'
        if _BLANK_BEFORE_COLON.match(line):
            problem = f"must have no blank before its colon, got {_shown(line)}"
    elif _URL.match(line):
        problem = f'must be "name: command", and not begin with a URL, got {_shown(line)}'
    elif match["name"].startswith("-"):
        problem = f'a name must not begin with "-", got {_shown(match["name"])}'
    elif len(match["name"]) > MAX_NAME_LENGTH:
        length = len(match["name"])
        problem = f"a name must have at most {MAX_NAME_LENGTH} characters, got {length}"
    elif not match["command"]:
        problem = f'"{match["name"]}" must have a command'
    elif _is_continued(line):
        problem = f'the command of "{match["name"]}" must be on one line, without "\\" at its end'
    else:
        return _Entry(line=number, **match.groupdict())
    return Fault(place=f"line {number}", problem=problem)


def _shown(line: str) -> str:
    text = line if len(line) <= _MAX_SHOWN_LENGTH else f"{line[:_MAX_SHOWN_LENGTH]}…"
    return f'"{visible(text)}"'


def _warnings(entry: _Entry, earlier: _Entry | None) -> Iterator[Fault]:
    place = f"line {entry.line}"
    problems = [*_name_problems(entry.name)]
    if not entry.blank:
        problems.insert(0, f'classic Heroku needs a space after "{entry.name}:"')
    for problem in problems:
        yield Fault(place=place, problem=problem, is_warning=True, is_of_others=True)
    if earlier is not None:
        problem = f'"{entry.name}" is also on line {earlier.line}; this line takes precedence'
        yield Fault(place=place, problem=problem, is_warning=True)


def _name_problems(name: str) -> Iterator[str]:
    newer_name = name.lower().replace("_", "-")
    if newer_name != name:
        yield f'on {_NEWER} "{name}" becomes "{newer_name}"'
    if newer_name.startswith("-") or newer_name.endswith("-"):
        yield f'{_NEWER} do not accept "{name}", which begins with "_", or ends with "-" or "_"'
    if len(name) > _MAX_NEWER_NAME_LENGTH:
        yield (
            f"{_NEWER} accept names of at most {_MAX_NEWER_NAME_LENGTH} characters, "
            f"this one has {len(name)}"
        )


def _process_type(entry: _Entry) -> ProcessType:
    return ProcessType(
        name=entry.name,
        command=Command(words=(entry.command,)),
        quantity=0 if entry.name == RELEASE_TYPE else 1,
    )
