"""What the shared options were set to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hsup.api import Settings
from hsup.cli.config import read_settings
from hsup.errors import UsageError
from hsup.model import Bind

DEFAULT_DRIVER = "simple"
#: What the platform gives a dyno between SIGTERM and SIGKILL.
DEFAULT_GRACE_SECONDS = 30.0
DEFAULT_LOG_FORMAT = "heroku"
_READ_ONLY = ":ro"
LOG_FORMATS = ("heroku", "plain", "json", "raw")

#: The variable of each shared option, and the one by which a shell asks for completions.
VARIABLES = frozenset(
    {
        "HSUP_APP",
        "HSUP_DRIVER",
        "HSUP_SOURCE",
        "HSUP_ONESHOT",
        "HSUP_START_NUMBER",
        "HSUP_CONTROL_SOCKET",
        "HSUP_LOGPLEX_URL",
        "HSUP_BIND",
        "HSUP_SIZE",
        "HSUP_DYNO_METADATA",
        "HSUP_GRACE",
        "HSUP_LOG_FORMAT",
        "HSUP_VERBOSE",
        "_HSUP_COMPLETE",
    }
)


class Options:
    """What the shared options were set to, before and after the command."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)

    def refined(self, given: Mapping[str, Any]) -> Options:
        """Return these with what stands after the command, which counts more."""
        after = {name: value for name, value in given.items() if value not in (None, ())}
        binds = (*(self._given.get("binds") or ()), *(after.get("binds") or ()))
        return Options({**self._given, **after, "binds": binds})

    @property
    def driver(self) -> str:
        """Return the name of the driver."""
        return self.chosen_driver or DEFAULT_DRIVER

    @property
    def chosen_driver(self) -> str | None:
        """Return the name of the driver that was asked for, None for the default."""
        return self._given.get("driver") or None

    @property
    def source(self) -> str | None:
        """Return the name of the source, None for the one that is asked for most."""
        return self._given.get("source")

    @property
    def one_shot(self) -> bool:
        """Tell whether dynos are started only once."""
        return bool(self._given.get("oneshot"))

    @property
    def start_number(self) -> int | None:
        """Return the number of a type's first dyno, None if it was not set."""
        return self._given.get("start_number")

    @property
    def grace_seconds(self) -> float:
        """Return what a dyno gets between SIGTERM and SIGKILL. Raises UsageError."""
        given = self._given.get("grace")
        if given is not None and not 0 <= given < float("inf"):
            raise UsageError(f"--grace must be a number of seconds, got {given}")
        return DEFAULT_GRACE_SECONDS if given is None else float(given)

    @property
    def log_format(self) -> str:
        """Return how log lines are printed."""
        return self._given.get("log_format") or DEFAULT_LOG_FORMAT

    @property
    def is_verbose(self) -> bool:
        """Tell whether to say more."""
        return bool(self._given.get("verbose"))

    @property
    def size(self) -> str | None:
        """Return the size of dynos that are given none, None for the driver's default."""
        return self._given.get("size") or None

    @property
    def has_metadata(self) -> bool:
        """Tell whether dynos get the platform's variables."""
        return bool(self._given.get("dyno_metadata"))

    @property
    def binds(self) -> tuple[Bind, ...]:
        """Return the paths that dynos see. Raises UsageError."""
        return tuple(_parse_bind(text) for text in self._given.get("binds") or ())

    def settings(self) -> Settings:
        """Return what plugins get."""
        return read_settings(
            app=self._given.get("app"),
            control_socket=self._given.get("control_socket"),
            logplex_url=self._given.get("logplex_url"),
        )


#: What no bind can replace without taking the dyno apart, and what nothing can be made in.
_OWN_PLACES = ("/", "/dev", "/dev/pts")
_OWN_TREES = ("/proc", "/sys")


def _parse_bind(text: str) -> Bind:
    from pathlib import Path

    paths = text.removesuffix(_READ_ONLY)
    host, _, dyno = paths.partition(":")
    place = "/" + os.path.normpath(dyno or host).lstrip("/")
    bind = Bind(host=Path(host), dyno=Path(place), read_only=paths != text)
    if ":" in dyno:
        raise UsageError(f'cannot bind "{text}": it must be HOST[:DYNO][:ro]')
    if not (bind.host.is_absolute() and (dyno or host).startswith("/")):
        raise UsageError(f'cannot bind "{text}": both paths must begin with /')
    if place in _OWN_PLACES or f"/{place.split('/')[1]}" in _OWN_TREES:
        raise UsageError(f'cannot bind "{text}": {bind.dyno} is the dyno\'s own')
    if not bind.host.exists():
        raise UsageError(f'cannot bind "{text}": {bind.host} does not exist')
    return bind
