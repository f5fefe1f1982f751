"""Read hsup's environment; nothing else in the host does."""

from __future__ import annotations

import os

from hsup.api import Settings
from hsup.errors import UsageError


def read_settings(
    *, app: str | None, control_socket: str | None, logplex_url: str | None
) -> Settings:
    """Return the settings that plugins get, with hsup's environment as it is now."""
    return Settings(
        folder=_current_folder(),
        environ=_environment(),
        app=app,
        control_socket=control_socket,
        logplex_url=logplex_url,
    )


#: What Python sets LC_CTYPE to where it finds the locale "C" (PEP 538).
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
        for one in given:
            if one.startswith(b"LC_CTYPE="):
                environ["LC_CTYPE"] = os.fsdecode(one.partition(b"=")[2])
    return environ


def _current_folder() -> str:
    """Return the path of the current folder, with the links that led to it.

    A link `current` that is turned to another release leads there then (man 1 pwd, -L).
    """
    try:
        here = os.getcwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder does not exist any more", hint="cd to one") from error
    path = os.environ.get("PWD", "")
    try:
        is_here = path.startswith("/") and os.path.samefile(path, here)
    except OSError:
        is_here = False
    return os.path.normpath(path) if is_here and "/.." not in path else here


def wants_colour(descriptor: int) -> bool:
    """Tell whether to colour what is printed there: on a terminal, see no-color.org."""
    return os.isatty(descriptor) and not os.environ.get("NO_COLOR")
