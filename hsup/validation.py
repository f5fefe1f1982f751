"""Validate the texts of a release, whichever source they come from.

| text | refused |
| --- | --- |
| the name of a config var | empty, `=`, control characters |
| the value of a config var, a word of a command | NUL: anything else is legal (man 2 execve) |
| a process type | all but 1 to 128 letters, digits, `-` and `_` |
| the names of an application, a stack and a size, a path, a URL | control characters |
| any of them | a lone surrogate, which JSON can write and UTF-8 cannot |

Control characters are those of Unicode, including newlines, NUL and ESC, and its two line
separators. Each function returns what is wrong, to be put after the name of the thing, or
None. At most MOST_SHOWN faults of one file are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hsup.model import Fault

if TYPE_CHECKING:
    from hsup.model import ProcessType, Release

#: More dynos of one type than any machine runs.
MAX_QUANTITY = 10_000
#: The most process types; the largest applications have some dozens.
MAX_PROCESSES = 1000
#: The most errors, and the most warnings, of one file that are shown.
MOST_SHOWN = 100

_LONGEST_TYPE = 128
_BOM = b"\xef\xbb\xbf"
# Compiling a regular expression takes as long as checking hundreds of texts.
_CONTROLS = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"}


def release_faults(release: Release) -> Iterator[Fault]:
    """Yield what is wrong with the texts and numbers of a release that comes from an API.

    A source that reads a file names the line of a fault instead.
    """
    slug = release.slug
    lines = {
        "the application's name": release.app,
        "the stack": release.stack,
        "the slug": slug and slug.location,
        "the slug's checksum": slug and slug.checksum,
        "the log URL": release.logplex_url,
    }
    for place, text in lines.items():
        yield from _faults(place, line_problem(text) if text else None)
    for process in release.processes:
        yield from _process_faults(process)
    for name, value in (*release.config.items(), *release.metadata.items()):
        problem = variable_problem(name)
        yield from _faults("the name of a config var", problem)
        if problem is None:
            yield from _faults(f"the config var {name}", value_problem(value))


class FaultCounter:
    """Counts the errors and the warnings of a file; at most MOST_SHOWN of each are shown."""

    def __init__(self) -> None:
        self._counts = {False: 0, True: 0}

    def has_room(self, *, is_warning: bool) -> bool:
        """Tell whether another one will be shown."""
        return self._counts[is_warning] < MOST_SHOWN

    def count(self, *, is_warning: bool) -> bool:
        """Count another one; return whether to show it."""
        self._counts[is_warning] += 1
        return self._counts[is_warning] <= MOST_SHOWN

    def unshown(self) -> tuple[Fault, ...]:
        """Return faults that say how many errors and warnings are not shown."""
        more = {kind: count - MOST_SHOWN for kind, count in self._counts.items()}
        return tuple(
            Fault(place="", problem=f"{count} more like these are not shown", is_warning=kind)
            for kind, count in more.items()
            if count > 0
        )


def bounded_faults(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults of a file to show, and how many more there are."""
    counter = FaultCounter()
    first = [one for one in faults if counter.count(is_warning=one.is_warning)]
    return (*first, *counter.unshown())


def _process_faults(process: ProcessType) -> Iterator[Fault]:
    problem = type_problem(process.name)
    yield from _faults("the name of a process type", problem)
    if problem is not None:
        return
    place = f"the process type {process.name}"
    for word in process.command.words:
        yield from _faults(f"the command of {place}", value_problem(word))
    yield from _faults(f"the size of {place}", line_problem(process.size) if process.size else None)
    if not 0 <= process.quantity <= MAX_QUANTITY:
        text = f"must be a number from 0 to {MAX_QUANTITY}, got {process.quantity}"
        yield Fault(f"the quantity of {place}", text)


def _faults(place: str, problem: str | None) -> Iterator[Fault]:
    if problem is not None:
        yield Fault(place, problem)


def utf8_text(content: bytes) -> str | Fault:
    """Return the text of a file without its byte order mark, or what is wrong with its bytes."""
    if _is_utf_16(content):
        return Fault(place="", problem="must be UTF-8 text, got UTF-16: save it as UTF-8")
    content = content.removeprefix(_BOM)
    nul = content.find(b"\0")
    if nul >= 0:
        return Fault(place=_line_of(content, nul), problem="must be text, got a NUL byte")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        problem = f"must be UTF-8 text, got the byte 0x{content[error.start]:02x}"
        return Fault(place=_line_of(content, error.start), problem=f"{problem}: save it as UTF-8")


def _is_utf_16(content: bytes) -> bool:
    """Tell whether a file has a byte order mark of UTF-16, or begins with ASCII in it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    nuls = [byte == 0 for byte in content[:4]]
    return nuls in ([False, True, False, True], [True, False, True, False])


def _line_of(content: bytes, offset: int) -> str:
    end = b"\n" if b"\n" in content else b"\r"
    return f"line {content.count(end, 0, offset) + 1}"


def type_problem(name: str) -> str | None:
    """Return what is wrong with the name of a process type."""
    letters = name.replace("-", "x").replace("_", "x")
    if len(name) <= _LONGEST_TYPE and letters.isascii() and letters.isalnum():
        return None
    return "must consist of 1 to 128 letters, digits, hyphens and underscores"


def variable_problem(name: str) -> str | None:
    """Return what is wrong with the name of a config var."""
    if not name or "=" in name or _first_control(name):
        return 'must not be empty or contain "=" or control characters'
    return _surrogate_problem(name)


def value_problem(text: str) -> str | None:
    """Return what is wrong with the value of a config var, or with a word of a command.

    The answer contains no part of the text, which may be a secret.
    """
    if "\0" in text:
        return "must be text without NUL, got a NUL character"
    return _surrogate_problem(text)


def line_problem(text: str) -> str | None:
    """Return what is wrong with a name, a path or a URL.

    The answer contains only the character, as a URL may contain secrets.
    """
    if found := _first_control(text):
        return f"must be one line of text, got the character U+{ord(found):04X}"
    return _surrogate_problem(text)


def _first_control(text: str) -> str | None:
    return None if text.isprintable() else next((one for one in text if one in _CONTROLS), None)


def _surrogate_problem(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must be Unicode text, got a lone surrogate"
    return None
