"""What the shells that complete the command line of hsup need, and click does not do."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from hsup.errors import HsupError


class _Quiet(ShellComplete):
    """Completes nothing after words that are wrong; a message would stand in the line typed."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        try:
            return super().get_completions(args, incomplete)
        except (HsupError, click.ClickException):
            return []


class _Bash(_Quiet, BashComplete):
    """For bash, `--driver=si` is three words, and `web=2:per` five; it completes the last."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        if incomplete == ":":
            args, incomplete = [*args, ":"], ""
        before = ""
        match args:
            case [*rest, name, "=", quantity, ":"]:
                args, before = rest, f"{name}={quantity}:"
        args = [one for one in args if one != "="]
        found = super().get_completions(args, before + incomplete)
        if not before:
            return found
        return [CompletionItem(one.value.removeprefix(before)) for one in found]


class _Joined(_Quiet):
    """Other shells complete `--driver=si` as one word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        found = super().get_completions(args, incomplete)
        option, equals, start = incomplete.partition("=")
        if not (equals and option.startswith("--")):
            return found
        return [CompletionItem(f"{option}={value}") for value in _values(found, start)]


def _values(found: Iterable[CompletionItem[Any]], start: str) -> Iterable[str]:
    """Return the values of an option; for files and directories, those that begin like this."""
    for item in found:
        if item.type == "plain":
            yield item.value
        else:
            paths = sorted(glob.glob(f"{glob.escape(start)}*"))
            yield from (f"{path}/" if os.path.isdir(path) else path for path in paths)


class _Zsh(_Joined, ZshComplete):
    pass


class _Fish(_Joined, FishComplete):
    pass


def register() -> None:
    """Have click complete for these shells as is said here."""
    for one in (_Bash, _Zsh, _Fish):
        add_completion_class(one)
