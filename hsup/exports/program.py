"""What another supervisor needs to know of an application and its dynos."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from hsup.errors import HsupError
from hsup.model import Command, DynoName
from hsup.numerals import port_number

#: Stands in each file that is written, so that no other one is overwritten.
WRITTEN = "Written by hsup export"

_UNSAFE = re.compile(r"[^a-zA-Z0-9_.-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: What a shell and systemd take as the name of a variable.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Program(NamedTuple):
    """One dyno, or the release phase, as a program that runs in a directory."""

    name: DynoName
    command: Command
    environment: Mapping[str, str]

    @property
    def web_port(self) -> int | None:
        """Return the port at which it serves, None unless it is a web dyno."""
        return port_number(self.environment.get("PORT", "")) if self.name.type == "web" else None

    @property
    def argv(self) -> tuple[str, ...]:
        """Return the words that are executed: bash runs a command of one word."""
        words = self.command.words
        if self.command.is_shell_line:
            return ("/bin/bash", "-c", "--", *words)
        # Looks in the dyno's PATH, and takes any first word: env would set `A=1`, and obey `-u`.
        return ("/bin/bash", "-c", 'exec -- "$@"', "bash", *words)


class Exported(NamedTuple):
    """An application with its dynos; `release_phase` has to end before these start.

    `user` is whoever they run as, with a uid and a gid if this machine has the account; `stack` is
    the name of the release's.
    """

    app: str
    directory: str
    user: str
    ids: tuple[int, int] | None
    dynos: tuple[Program, ...]
    release_phase: Program | None
    grace_seconds: float
    stack: str | None

    @property
    def safe_app(self) -> str:
        """Return the application's name as a part of a file's name."""
        return _UNSAFE.sub("-", self.app).strip("-.") or "app"

    def mark(self, form: str) -> str:
        """Return what tells the files of this application, in one format, from all others.

        It has no `--`, which no comment of XML can have.
        """
        return f"{WRITTEN} {form} of {self.safe_app.replace('--', '-%2D')}"


class Export(NamedTuple):
    """Files to write, by name; `usage` says how they are used, `remarks` what they lack.

    The user that dynos run as has to read those in `for_user`; all others are for root.
    """

    files: Mapping[str, str]
    usage: str
    remarks: tuple[str, ...] = ()
    for_user: frozenset[str] = frozenset()


def require_names(one: Program, what: str) -> None:
    """Raise HsupError for a config var whose name another supervisor would not take."""
    for name in one.environment:
        if not _NAME.fullmatch(name):
            hint = "give it a name of letters, digits and underscores"
            raise HsupError(f'{what} takes no variable called "{name}"', hint=hint)


def require_plain(path: str, what: str) -> None:
    """Raise HsupError for a path that a line of another supervisor's file cannot have."""
    if _CONTROL.search(path) or path.endswith((" ", "\\")) or not _is_text(path):
        text = f'{what} takes no path like "{path}": it must be UTF-8 without control characters'
        raise HsupError(f"{text}, and not end with a blank or a backslash", hint="rename it")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # a byte that is not UTF-8
        return False
    return True


def without_release_phase(application: Exported) -> tuple[str, ...]:
    """Return what to tell about a release phase that cannot be exported."""
    if application.release_phase is None:
        return ()
    return ("the release phase is not exported: run it before the dynos, with hsup run release",)
