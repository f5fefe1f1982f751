"""Check whether what plugins return is what the contracts in `hsup.api` say.

A check returns what the value should be instead, None where it is that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hsup.api import Checked, Fetched, Finding
from hsup.model import Command, ExitStatus, ProcessType, Release

Check = Callable[[Any], str | None]


def method(whose: object, name: str) -> Callable[..., Any] | None:
    """Return a method, None where there is none; raises whatever the attribute raises."""
    method = getattr(whose, name, None)
    return method if callable(method) else None


def has(*names: str, what: str) -> Check:
    """Return a check for what has methods of these names."""

    def check(value: object) -> str | None:
        lacks = any(method(value, name) is None for name in names)
        return f"{what} with {' and '.join(names)}" if lacks else None

    return check


def unless_none(check: Check) -> Check:
    """Return a check that takes None too."""
    return lambda value: None if value is None else check(value)


is_driver = has("build", "start", what="a driver")
is_dyno = has("wait", "signal", "destroy", what="a running dyno")
is_source = has("fetch", "changes", what="a source")


def is_status(value: object) -> str | None:
    """Check for an ExitStatus."""
    if not isinstance(value, ExitStatus):
        return "an ExitStatus"
    numbers = (value.code, value.signal or 0)
    return None if all(isinstance(one, int) for one in numbers) else "numbers"


def are_texts(value: object) -> str | None:
    """Check for a sequence of str."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "a sequence of texts"
    if all(isinstance(one, str) for one in value):
        return None
    return "a sequence of texts"


def are_findings(value: object) -> str | None:
    """Check for a sequence of Finding."""
    if isinstance(value, Sequence) and all(isinstance(one, Finding) for one in value):
        return None
    return "a sequence of findings"


def is_checked(value: object) -> str | None:
    """Check for a Checked, or None."""
    return None if value is None or isinstance(value, Checked) else "a Checked"


def is_fetched(value: object) -> str | None:
    """Check for a Fetched with a release whose fields have their types."""
    if not isinstance(value, Fetched):
        return "a Fetched"
    return None if value.release is None else is_release(value.release)


def is_release(value: object) -> str | None:
    """Check for a Release whose fields have their types."""
    if not isinstance(value, Release):
        return "a Release"
    version: object = value.version
    app: object = value.app
    if not isinstance(version, int) or not isinstance(app, str):
        return "a Release with a number for its version and a text for its app"
    if not _is_config(value.config) or not _is_config(value.metadata):
        return "a Release with texts for its config vars"
    types: object = value.processes
    if not isinstance(types, tuple) or not all(map(_is_process_type, types)):
        return "a Release with a tuple of ProcessTypes"
    return None


def _is_config(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(one, str) for pair in value.items() for one in pair
    )


def _is_process_type(value: object) -> bool:
    return (
        isinstance(value, ProcessType)
        and isinstance(value.name, str)
        and isinstance(value.quantity, int)
        and isinstance(value.command, Command)
        and _are_words(value.command.words)
    )


def _are_words(value: object) -> bool:
    """Tell whether a value is several texts; one text alone would be as many as it has letters."""
    return isinstance(value, tuple | list) and all(isinstance(word, str) for word in value)
