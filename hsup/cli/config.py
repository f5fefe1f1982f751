"""Read hsup's environment variables; no other file of the host does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hsup.api import Settings
from hsup.errors import UsageError


def read_settings(
    *,
    root: str | None = None,
    root_called: str = "--root",
    procfile: str | None = None,
    env_files: tuple[str, ...] = (),
    **given: Any,
) -> Settings:
    """Return the settings that plugins get, with a copy of hsup's environment.

    `root` is the application's directory; without it, it is that of a Procfile with a path.
    `root_called` is what an error calls it.
    """
    here = _current_directory()
    directory = working_directory(root, root_called)
    if root is None and procfile is not None:
        directory = os.path.normpath(os.path.join(here, os.path.dirname(procfile)))
    return Settings(
        directory=directory,
        environ=_environment(),
        has_root=root is not None,
        procfile=None if procfile is None else os.path.normpath(os.path.join(here, procfile)),
        env_files=tuple(os.path.normpath(os.path.join(here, path)) for path in env_files),
        **given,
    )


def working_directory(root: str | None, called: str = "--root") -> str:
    """Return the path of the application's directory, or else of the current one.

    Raises UsageError, which says what the user `called` it, if it is none.
    """
    here = _current_directory()
    if root is None:
        return here
    directory = os.path.normpath(os.path.join(here, root))
    if not os.path.isdir(directory):
        text = f'{called} must be a directory, got "{root}"'
        raise UsageError(text, hint="name the directory of the application")
    return directory


def variables() -> Mapping[str, str]:
    """Return hsup's environment variables."""
    return os.environ


#: The values that Python sets LC_CTYPE to if the locale is "C" (PEP 538).
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def _environment() -> dict[str, str]:
    """Return hsup's environment as its caller set it."""
    environ = dict(os.environ)
    if environ.get("LC_CTYPE") in _COERCED:
        try:
            with open("/proc/self/environ", "rb") as file:
                given = file.read().split(b"\0")
        except OSError:
            return environ
        del environ["LC_CTYPE"]
        for variable in given:
            if variable.startswith(b"LC_CTYPE="):
                environ["LC_CTYPE"] = os.fsdecode(variable.partition(b"=")[2])
    return environ


def _current_directory() -> str:
    """Return the path of the working directory, symbolic links included.

    If a link `current` is pointed at another release, the path leads there (man 1 pwd, -L).
    """
    try:
        here = os.getcwd()
    except FileNotFoundError as error:
        text = "the current directory no longer exists"
        raise UsageError(text, hint="change to another directory") from error
    path = os.environ.get("PWD", "")
    try:
        is_here = path.startswith("/") and os.path.samefile(path, here)
    except OSError:
        is_here = False
    return os.path.normpath(path) if is_here and "/.." not in path else here


def wants_colour(descriptor: int) -> bool:
    """Tell whether to colour output: on a terminal that can, unless NO_COLOR is set (no-color.org).

    TERM is "dumb" where a terminal shows escape sequences as they are (man 7 term).
    """
    can = os.isatty(descriptor) and os.environ.get("TERM") != "dumb"
    return can and not os.environ.get("NO_COLOR")
