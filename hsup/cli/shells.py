"""What the shells that complete the command line of hsup need, and click does not do."""

from __future__ import annotations

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

from hsup.cli.completing import paths
from hsup.errors import HsupError


class _Quiet(ShellComplete):
    """Completes nothing after words that are wrong; a message would stand in the line typed."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        try:
            return super().get_completions(args, incomplete)
        except (HsupError, click.ClickException):
            return []


class _Bash(_Quiet, BashComplete):
    """bash takes `--driver=si` for three words, and `web=2:per` for five; it completes the last."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", 'COMPREPLY+=("$value"); [[ $value != */ ]] || compopt -o nospace'
    )

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        if incomplete in _BREAKS:
            args, incomplete = [*args, incomplete], ""
        *args, whole = _joined([*args, incomplete])
        option, equals, value = whole.partition("=")
        given = value if equals and option.startswith("--") else whole
        before = given.removesuffix(incomplete)
        found = super().get_completions(args, whole)
        return [CompletionItem(one.value.removeprefix(before), one.type) for one in found]


#: Where bash ends a word (man 1 bash, COMP_WORDBREAKS), if an option or a quantity has it.
_BREAKS = ("=", ":")


def _joined(words: Iterable[str]) -> list[str]:
    """Join words that are one between blanks, as far as can be told."""
    joined: list[str] = []
    goes_on = False
    for word in words:
        is_break = word in _BREAKS
        if joined and (goes_on or is_break):
            joined[-1] += word
        else:
            joined.append(word)
        goes_on = is_break
    return joined


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
        yield from [item.value] if item.type == "plain" else paths(start)


class _Zsh(_Joined, ZshComplete):
    pass


class _Fish(_Joined, FishComplete):
    """A value may have commas; click separates it from its type with one."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


def register() -> None:
    """Have click complete for these shells as is said here."""
    for one in (_Bash, _Zsh, _Fish):
        add_completion_class(one)
