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
        environ=dict(os.environ),
        app=app,
        control_socket=control_socket,
        logplex_url=logplex_url,
    )


def _current_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder does not exist any more", hint="cd to one") from error


def wants_colour(descriptor: int) -> bool:
    """Tell whether to colour what is printed there: on a terminal, see no-color.org."""
    return os.isatty(descriptor) and not os.environ.get("NO_COLOR")
