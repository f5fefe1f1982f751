"""Parse control files into releases."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from hsup.model import Author, Command, Drain, Fault, ProcessType, Release, Slug
from hsup.validation import (
    MAX_PROCESSES,
    MAX_QUANTITY,
    FaultCounter,
    line_problem,
    type_problem,
    value_problem,
    variable_problem,
)
from hsup_source_directory.json_lines import JsonPath, lines_of

#: A limit for objects and lists, which take 50 times their text in memory, and time accordingly.
#: Brackets in strings are counted, too. A file with all possible process types has 2,000.
MAX_BRACKETS = 20_000
#: The largest `int` of the Go program.
MAX_VERSION = 2**63 - 1

_KEYS = (
    "Version",
    "Name",
    "Env",
    "Slug",
    "SlugChecksum",
    "Stack",
    "Processes",
    "LogplexURL",
    "LogDrains",
)
#: The format of the Platform API.
_CHECKSUM = re.compile(r"SHA256:[0-9a-f]{64}", re.IGNORECASE)
_PROCESS_KEYS = ("Args", "Quantity", "Type", "Size")
_PORTABLE_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN_CHARACTERS = 60
_NO_PROCESSES = '"Processes" is missing: no dyno will run; write "Processes": [] if that is meant'
_MISSING = object()
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A parsed control file; `release` is None if one of `faults` is an error."""

    release: Release | None
    faults: tuple[Fault, ...] = ()

    @property
    def errors(self) -> tuple[Fault, ...]:
        """Return the faults for which the release is rejected."""
        return tuple(fault for fault in self.faults if not fault.is_warning)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """Return the faults with which the release is accepted."""
        return tuple(fault for fault in self.faults if fault.is_warning)


def parse(
    content: bytes | Fault, *, app: str | None, default_app: str, author: Author | None = None
) -> Parsed:
    """Parse a control file; return its release and its faults.

    The format is that of the Go program, with the sizes of dynos added: a JSON
    object with the keys of `_KEYS`, all of them optional, in upper or lower case.
    `content` is a Fault if the file could not be read. `app` takes precedence
    over "Name", and that over `default_app`.
    """
    value = content if isinstance(content, Fault) else _too_many(content) or _decode(content)
    if isinstance(value, Fault):
        return Parsed(release=None, faults=(value,))
    reader = _Reader()
    release = reader.release(value, app=app, default_app=default_app)
    faults = _faults(content, reader.findings) if isinstance(content, bytes) else ()
    faults += reader.counter.unshown()
    refused = any(not fault.is_warning for fault in faults)
    if release is not None:
        release = release._replace(author=author)
    return Parsed(release=None if refused else release, faults=faults)


class _Object(dict[str, object]):
    """A JSON object, with the keys that are in its text more than once."""

    __slots__ = ("repeated",)  # there may be hundreds of thousands

    def __init__(self, pairs: Sequence[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated: tuple[str, ...] = ()
        if len(self) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            self.repeated = tuple(key for key, count in counts.items() if count > 1)


def _too_many(content: bytes) -> Fault | None:
    brackets = content.count(b"{") + content.count(b"[")
    if brackets <= MAX_BRACKETS:
        return None
    problem = f"must have at most {MAX_BRACKETS} of the brackets {{ and [, got {brackets}"
    return Fault(place="", problem=problem)


def _decode(content: bytes) -> object:
    """Return the JSON value, or the Fault of an invalid one."""
    if not content.strip():
        return Fault(place="", problem="the file is empty, a JSON object was expected")
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_Object)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        return Fault(place=f"line {line}", problem=f"must be UTF-8 text, got the byte 0x{byte:02x}")
    except json.JSONDecodeError as error:
        return _syntax_fault(error)
    except RecursionError:
        return Fault(place="", problem="is nested too deeply")
    except ValueError:
        # Only int() is left in json.loads to raise it, which limits its digits.
        return Fault(place="", problem="contains a number with too many digits")


def _syntax_fault(error: json.JSONDecodeError) -> Fault:
    message = error.msg[0].lower() + error.msg[1:]
    found = ""
    if message.startswith("expecting"):
        # One character only, as the next ones may be of a secret.
        rest = error.doc[error.pos : error.pos + 1]
        found = f", got {_shown(rest)}" if rest else ", got the end of the file"
    return Fault(
        place=f"line {error.lineno}, column {error.colno}",
        problem=f"must be JSON: {message}{found}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """A fault whose line is not known yet."""

    path: JsonPath
    problem: str
    is_warning: bool


def _faults(content: bytes, findings: Sequence[_Finding]) -> tuple[Fault, ...]:
    """Return the findings as faults with lines, in the order of the file."""
    if not findings:
        return ()
    wanted = {one.path[:end] for one in findings for end in range(1, len(one.path) + 1)}
    lines = lines_of(content.decode("utf-8-sig"), wanted)
    placed = [(_line(one.path, lines), one) for one in findings]
    placed.sort(key=lambda pair: pair[0])
    return tuple(
        Fault(place=f"line {line}", problem=one.problem, is_warning=one.is_warning)
        for line, one in placed
    )


def _line(path: JsonPath, lines: dict[JsonPath, int]) -> int:
    """Return the line of a value, or, if it is missing, of the object that should have it."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 1)


class _Reader:
    """Makes a release from JSON values, and notes all of their faults.

    A wrong value is replaced by a default, so that one pass finds all faults.
    """

    def __init__(self) -> None:
        self.findings: list[_Finding] = []
        self.counter = FaultCounter()
        # The spelling in the file of the known key that a path ends with.
        self._written: dict[JsonPath, str] = {}
        self._is_image = False

    def release(self, value: object, *, app: str | None, default_app: str) -> Release | None:
        if not isinstance(value, _Object):
            self._refuse((), "the file", "a JSON object", value)
            return None
        self._check_keys((), value, _KEYS, "")
        members = _members(value, _KEYS)
        self._is_image = Slug(str(members.get("Slug"))).image is not None
        name = self._app_name(members)
        return Release(
            app=app or name or default_app,
            version=self._version(members),
            config=self._config(members),
            processes=self._processes(members),
            slug=self._slug(members),
            stack=self._text(members, "Stack"),
            logplex_url=self._text(members, "LogplexURL"),
            drains=self._drains(members),
        )

    def _slug(self, members: Mapping[str, object]) -> Slug | None:
        location = self._text(members, "Slug")
        checksum = self._text(members, "SlugChecksum")
        if checksum and not _CHECKSUM.fullmatch(checksum):
            expected = "SHA256: and 64 hexadecimal digits"
            self._refuse(("SlugChecksum",), '"SlugChecksum"', expected, checksum)
        return Slug(location=location, checksum=checksum) if location else None

    def _refuse(self, path: JsonPath, subject: str, expected: str, found: object) -> None:
        self._note_wrong(path, subject, f"must be {expected}", found)

    def _note_wrong(self, path: JsonPath, subject: str, problem: str, found: object) -> None:
        is_missing = found is _MISSING
        how = f"is missing; it {problem}" if is_missing else f"{problem}, got {_shown(found)}"
        self._note(path, f"{subject} {how}")

    def _note(self, path: JsonPath, problem: str, *, is_warning: bool = False) -> None:
        if not self.counter.count(is_warning=is_warning):
            return
        ends = range(1, len(path) + 1)
        written = tuple(self._written.get(path[:end], path[end - 1]) for end in ends)
        self.findings.append(_Finding(path=written, problem=problem, is_warning=is_warning))

    def _check_keys(self, path: JsonPath, value: _Object, known: Sequence[str], owner: str) -> None:
        for key in value.repeated:
            self._note((*path, key), f"{_shown(key)}{owner} is given more than once")
        names = _by_lower_case(known)
        for key in value:
            name = names.get(key.lower())
            if name:
                self._check_spelling((*path, name), key, owner)
            elif not self.counter.has_room(is_warning=True):
                self.counter.count(is_warning=True)  # without a suggestion, which is slow to find
            else:
                text = f"unknown key {_shown(key)}{owner} is ignored{_suggestion(key, known)}"
                self._note((*path, key), text, is_warning=True)

    def _check_spelling(self, path: JsonPath, key: str, owner: str) -> None:
        """Note a key whose case differs from that of the known key at the end of `path`."""
        name, earlier = path[-1], self._written.get(path)
        self._written[path] = key
        if earlier:
            text = f'"{name}"{owner} is given more than once, as "{earlier}" and "{key}"'
            self._note(path, text)
        elif key != name:
            text = f'key "{key}"{owner} should be written "{name}"'
            self._note(path, text, is_warning=True)

    def _app_name(self, value: Mapping[str, object]) -> str | None:
        name = self._text(value, "Name")
        if name and ("/" in name or name in {".", ".."}):
            self._refuse(("Name",), '"Name"', 'a name without "/"', name)
        return name

    def _text(self, value: Mapping[str, object], key: str) -> str | None:
        found = value.get(key)
        if found is None:
            return None
        if not isinstance(found, str):
            self._refuse((key,), f'"{key}"', "a string", found)
            return None
        self._note_problem((key,), f'"{key}"', line_problem(found))
        return found or None

    def _drains(self, members: Mapping[str, object]) -> tuple[Drain, ...]:
        found = members.get("LogDrains")
        if found is None:
            return ()
        if not isinstance(found, list):
            kind = _KINDS.get(type(found), "an object")  # a URL may hold secrets
            self._note(("LogDrains",), f'"LogDrains" must be a list of URLs, got {kind}')
            return ()
        for one in found:
            if not isinstance(one, str):
                self._refuse(("LogDrains",), 'an item of "LogDrains"', "a string", one)
            else:
                self._note_problem(("LogDrains",), 'an item of "LogDrains"', line_problem(one))
        return tuple(Drain(one) for one in found if isinstance(one, str))

    def _note_problem(self, path: JsonPath, subject: str, problem: str | None) -> None:
        if problem:
            self._note(path, f"{subject} {problem}")

    def _version(self, value: Mapping[str, object]) -> int:
        found = value.get("Version")
        if found is None:
            return 0
        return self._whole_number(("Version",), '"Version"', found, MAX_VERSION)

    def _whole_number(self, path: JsonPath, subject: str, found: object, limit: int) -> int:
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            self._refuse(path, subject, "a whole number, 0 or more", found)
            return 0
        if found > limit:
            self._refuse(path, subject, f"a whole number, {limit} or less", found)
            return 0
        return found

    def _config(self, value: Mapping[str, object]) -> dict[str, str]:
        found = value.get("Env")
        if found is None:
            return {}
        if not isinstance(found, _Object):
            self._note(("Env",), f'"Env" must be an object of strings, got {_kind(found)}')
            return {}
        for name in found.repeated:
            self._note(("Env", name), f'{_shown(name)} of "Env" is given more than once')
        return {name: self._config_value(name, one) for name, one in found.items()}

    def _config_value(self, name: str, found: object) -> str:
        """Return the value of a config var; no fault shows it, as it may be a secret."""
        path, subject = ("Env", name), f'{_shown(name)} of "Env"'
        self._check_variable_name(path, name)
        if not isinstance(found, str):
            advice = ' (write "5", not 5)' if isinstance(found, int | float) else ""
            self._note(path, f"{subject} must be a string, got {_kind(found)}{advice}")
            return ""
        self._note_problem(path, subject, value_problem(found))
        return found

    def _check_variable_name(self, path: JsonPath, name: str) -> None:
        subject = 'a name in "Env"'
        problem = variable_problem(name)
        if problem:
            self._note(path, f"{subject} {problem}, got {_shown(name)}")
        elif not _PORTABLE_VARIABLE.fullmatch(name):
            text = (
                f"{subject} should consist of letters, digits and underscores, got {_shown(name)}"
            )
            self._note(path, text, is_warning=True)

    def _processes(self, value: Mapping[str, object]) -> tuple[ProcessType, ...]:
        if "Processes" not in value:
            self._note(("Processes",), _NO_PROCESSES, is_warning=True)
        found = value.get("Processes")
        if found is None:
            return ()
        if not isinstance(found, list):
            self._refuse(("Processes",), '"Processes"', "a list of objects", found)
            return ()
        if len(found) > MAX_PROCESSES:
            text = f'"Processes" must have at most {MAX_PROCESSES} elements, got {len(found)}'
            self._note(("Processes",), text)
            return ()
        processes: dict[str, ProcessType] = {}
        for index, one in enumerate(found):
            process = self._process(index, one)
            if process and process.name in processes:
                path = ("Processes", index, "Type")
                text = f'"Type" of process {index + 1} is "{process.name}", which is already used'
                self._note(path, f"{text}; process types must be unique")
            elif process:
                processes[process.name] = process
        return tuple(processes.values())

    def _process(self, index: int, value: object) -> ProcessType | None:
        path = ("Processes", index)
        if not isinstance(value, _Object):
            self._refuse(path, f"process {index + 1}", "an object", value)
            return None
        members = _members(value, _PROCESS_KEYS)
        name = members.get("Type", _MISSING)
        owner = f" of process {_shown(name) if isinstance(name, str) and name else index + 1}"
        self._check_keys(path, value, _PROCESS_KEYS, owner)
        command = Command(words=self._words((*path, "Args"), f'"Args"{owner}', members))
        quantity = self._whole_number(
            (*path, "Quantity"),
            f'"Quantity"{owner}',
            members.get("Quantity", _MISSING),
            MAX_QUANTITY,
        )
        size = self._size((*path, "Size"), f'"Size"{owner}', members)
        problem = type_problem(name if isinstance(name, str) else "")
        if problem or not isinstance(name, str):
            subject = f'"Type" of process {index + 1}'
            self._note_wrong((*path, "Type"), subject, str(problem), name)
            return None
        return ProcessType(name=name, command=command, quantity=quantity, size=size)

    def _size(self, path: JsonPath, subject: str, value: Mapping[str, object]) -> str | None:
        found = value.get("Size")
        if found is None or found == "":
            return None
        if not isinstance(found, str) or line_problem(found):
            self._refuse(path, subject, "the name of a dyno size", found)
            return None
        return found

    def _words(self, path: JsonPath, subject: str, value: Mapping[str, object]) -> tuple[str, ...]:
        found = value.get("Args", _MISSING)
        if found == [] and self._is_image:
            return ()
        if not isinstance(found, list) or not found:
            many = "strings" if self._is_image else "one or more strings"
            self._refuse(path, subject, f"a list of {many}", found)
            return ("",)
        for index, word in enumerate(found):
            if isinstance(word, str):
                word_subject = f"word {index + 1} of {subject}"
                self._note_problem((*path, index), word_subject, value_problem(word))
            else:
                self._refuse((*path, index), f"word {index + 1} of {subject}", "a string", word)
        if isinstance(found[0], str) and not found[0].strip():
            self._refuse((*path, 0), f"word 1 of {subject}", "a command", found[0])
        return tuple(str(word) for word in found)


def _members(value: _Object, known: Sequence[str]) -> dict[str, object]:
    """Return the members with a known key, in upper or lower case, by the known key."""
    names = _by_lower_case(known)
    return {names[key.lower()]: one for key, one in value.items() if key.lower() in names}


def _by_lower_case(known: Sequence[str]) -> dict[str, str]:
    return {name.lower(): name for name in known}


def _suggestion(key: str, known: Sequence[str]) -> str:
    if len(key) > _SHOWN_CHARACTERS:
        return ""  # it resembles no key, and each character would take memory
    names = _by_lower_case(known)
    near = get_close_matches(key.lower(), names, n=1)
    return f', did you mean "{names[near[0]]}"?' if near else ""


def _shown(found: object) -> str:
    """Return a value for a fault: short, on one line, and printable."""
    if isinstance(found, list | dict):
        return _kind(found)
    if isinstance(found, str):
        short = found[:_SHOWN_CHARACTERS]
        shown = json.dumps(short, ensure_ascii=not short.isprintable())
        return shown if short == found else f"{shown}…"
    shown = json.dumps(found)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"


def _kind(found: object) -> str:
    """Return the type of a JSON value, for faults that must not show the value."""
    return "an empty list" if found == [] else _KINDS.get(type(found), "an object")
