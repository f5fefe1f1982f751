"""Every call of hsup in the pages has the commands, options and arguments that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache

import click
import pytest

from hsup.cli.commands import COMMANDS, hsup
from hsup.cli.defaults import VARIABLES
from tests.documents.pages import PAGES, blocks, generated, name_of

CALL = re.compile(r"^(?:ExecStart=\S*/)?hsup (.+)$", re.MULTILINE)


def calls() -> Iterator[str]:
    for page in PAGES:
        for block in blocks(page, "sh", "ini"):
            yield from (f"{name_of(page)}: {line}" for line in CALL.findall(block))


@cache
def commands() -> dict[str, click.Command]:
    own = {name: hsup.get_command(click.Context(hsup), name) for name in COMMANDS}
    return {**own, **generated().plugin_commands()}


def parse(words: Sequence[str]) -> None:
    """Have click read a command line, and do nothing. Raises what it raises for a wrong one."""
    if words == ["--version"]:
        return
    name, *rest = words
    _parse(commands()[name], name, rest)


def _parse(command: click.Command, name: str, words: Sequence[str]) -> None:
    above = click.Context(hsup, **hsup.context_settings)
    context = command.make_context(name, list(words), parent=above)
    if isinstance(command, click.Group):
        name_of_inner, inner, rest = command.resolve_command(context, list(words))
        assert inner
        _parse(inner, name_of_inner or "", rest)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("call", sorted(set(calls())))
def test_every_call_of_hsup_is_one(call: str) -> None:
    parse(shlex.split(call.partition(": ")[2], comments=True))


@pytest.mark.parametrize("words", [["start", "--no-such"], ["stacks", "pul"], ["run"]])
def test_a_wrong_call_is_found(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(words)
