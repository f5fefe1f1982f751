"""Check what plugins return against the contracts in `hsup.api`.

A check returns what is wrong with a value, None if the value is right. It may raise whatever
an attribute raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hsup.api import Checked, Claim, Fetched, Finding, Origin
from hsup.errors import InvalidRelease, SourceError
from hsup.model import (
    Address,
    Author,
    Command,
    Drain,
    ExitStatus,
    Fault,
    ProcessType,
    Release,
    Slug,
)


class Wrong(NamedTuple):
    """What a value should be instead, or, with a path, what that part of it should be."""

    expected: str
    path: str = ""

    def inside(self, part: str) -> Wrong:
        """Return the same for the value that this one is a part of."""
        separator = "." if self.path and not self.path.startswith("[") else ""
        return self._replace(path=f"{part}{separator}{self.path}")

    def __str__(self) -> str:
        if not self.path:
            return f"instead of {self.expected}"
        part = f"item {self.path}" if self.path.startswith("[") else self.path
        return f"whose {part} is not {self.expected}"


Check = Callable[[Any], Wrong | None]


def method(whose: object, name: str) -> Callable[..., Any] | None:
    """Return a method, None if there is none; raises whatever the attribute raises."""
    method = getattr(whose, name, None)
    return method if callable(method) else None


def has(*names: str, what: str, may_have: Sequence[str] = ()) -> Check:
    """Return a check for an object with these methods, whose attributes do not raise."""

    def check(value: object) -> Wrong | None:
        for name in may_have:
            getattr(value, name, None)
        lacks = any(method(value, name) is None for name in names)
        return Wrong(f"{what} with {' and '.join(names)}") if lacks else None

    return check


def unless_none(check: Check) -> Check:
    """Return a check that also accepts None."""
    return lambda value: None if value is None else check(value)


def _is(expected: str, *kinds: type) -> Check:
    return lambda value: None if isinstance(value, kinds) else Wrong(expected)


def _each(expected: str, check: Check) -> Check:
    """Return a check for a tuple, each item of which passes a check."""

    def each(value: object) -> Wrong | None:
        return _wrong_item(value, check) if isinstance(value, tuple) else Wrong(expected)

    return each


def _wrong_item(value: Sequence[object], check: Check) -> Wrong | None:
    """Return what is wrong with the first wrong item."""
    for index, item in enumerate(value):
        if wrong := check(item):
            return wrong.inside(f"[{index}]")
    return None


def _value(expected: str, kind: type, **fields: Check) -> Check:
    """Return a check for an instance of `kind` with these fields."""

    def check(value: object) -> Wrong | None:
        if not isinstance(value, kind):
            return Wrong(expected)
        for name, field in fields.items():
            if wrong := field(getattr(value, name)):
                return wrong.inside(name)
        return None

    return check


def _are_variables(value: object) -> Wrong | None:
    """Check for a mapping of str to str."""
    if isinstance(value, Mapping) and all(
        isinstance(one, str) for pair in value.items() for one in pair
    ):
        return None
    return Wrong("a mapping of strings")


def are_texts(value: object) -> Wrong | None:
    """Check for a sequence of str."""
    return _are(value, "a sequence of strings", _text)


def are_findings(value: object) -> Wrong | None:
    """Check for a sequence of Finding."""
    return _are(value, "a sequence of findings", _is_finding)


def _are_faults(value: object) -> Wrong | None:
    return _are(value, "a sequence of faults", _is_fault)


def _are_origins(value: object) -> Wrong | None:
    """Check for a mapping of str to Origin."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        return Wrong("a mapping of origins by name")
    return _wrong_item([*value.values()], _is_origin)


def _are(value: object, expected: str, check: Check) -> Wrong | None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return Wrong(expected)
    return _wrong_item(value, check)


is_driver = has(
    "build",
    "start",
    what="a driver",
    may_have=(
        "run",
        "sweep",
        "check_size",
        "close",
        "examine",
        "keep_only",
        "adopt",
        "binds_paths",
        "ignores_slugs",
        "shares_ports",
        "shares_streams",
    ),
)
is_dyno = has("wait", "signal", "destroy", what="a running dyno", may_have=("execute", "pid"))
is_source = has("fetch", "changes", what="a source", may_have=("keep", "kept", "fetch_slug"))

_text = _is("a string", str)
_maybe_text = _is("a string or None", str, type(None))
_number = _is("a whole number", int)
_maybe_number = _is("a whole number or None", int, type(None))
_flag = _is("a bool", bool)

_is_fault = _value("a Fault", Fault, place=_text, problem=_text, is_warning=_flag, file=_text)
_is_origin = _value("an Origin", Origin, file=_text, place=_text)
_is_finding = _value(
    "a Finding", Finding, subject=_text, is_good=_flag, text=_text, remedy=_maybe_text
)
_is_slug = _value("a Slug", Slug, location=_text, checksum=_maybe_text, inode=_maybe_number)
_is_drain = _value("a Drain", Drain, url=_text, token=_maybe_text)
_is_author = _value("an Author", Author, uid=_number, gid=_number)
_is_command = _value("a Command", Command, words=_each("a tuple of strings", _text))
_is_process_type = _value(
    "a ProcessType",
    ProcessType,
    name=_text,
    command=_is_command,
    quantity=_number,
    size=_maybe_text,
)

is_status = _value(
    "an ExitStatus", ExitStatus, code=_number, signal=_maybe_number, out_of_memory=_flag
)
is_address = _value("an Address", Address, ip=_text, port=_number)
is_claim = _is("a Claim", Claim)
is_release = _value(
    "a Release",
    Release,
    app=_text,
    version=_number,
    config=_are_variables,
    processes=_each("a tuple of ProcessTypes", _is_process_type),
    slug=unless_none(_is_slug),
    stack=_maybe_text,
    logplex_url=_maybe_text,
    metadata=_are_variables,
    author=unless_none(_is_author),
    drains=_each("a tuple of Drains", _is_drain),
)
is_checked = unless_none(
    _value(
        "a Checked",
        Checked,
        what=_text,
        faults=_are_faults,
        release=unless_none(is_release),
        config_origins=_are_origins,
        size_origins=_are_origins,
    )
)
is_fetched = _value(
    "a Fetched",
    Fetched,
    release=unless_none(is_release),
    rejected=unless_none(_is("an InvalidRelease", InvalidRelease)),
    warnings=are_texts,
    ask_again=_flag,
    remedy=_maybe_text,
    failure=unless_none(_is("a SourceError", SourceError)),
)
