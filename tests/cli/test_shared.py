from __future__ import annotations

import click
import pytest

from hsup.cli.commands import hsup as command_line
from tests.cli.calling import call


@pytest.mark.parametrize("command", ["run", "start", "build", "check", "doctor"])
def test_every_option_is_accepted_after_the_command_and_told_with_its_variable(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {one.name: one for one in command_line.params}
    context = click.Context(command_line)
    found = command_line.get_command(context, command)
    assert found
    after = {one.name: one for one in found.params}
    for name in before.keys() - {"version", "help"}:
        one, variable = after[name], before[name].envvar
        assert isinstance(one, click.Option)
        assert isinstance(variable, str)
        assert one.opts == before[name].opts
        assert f"[{variable}]" in (one.help or "")
        monkeypatch.setenv(variable, "x")
        assert before[name].resolve_envvar_value(context) == "x"
        # Else it would outweigh an option before the command.
        assert one.resolve_envvar_value(click.Context(found, parent=context)) is None


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "variable", "driver"),
    [
        (["build"], None, "simple"),
        (["build"], "one", "one"),
        (["-d", "two", "build"], "one", "two"),
        (["build", "-d", "three"], "one", "three"),
        (["-d", "two", "build", "-d", "three"], "one", "three"),
        (["--dynodriver", "two", "build"], None, "two"),
        (["build", "--driver", "three"], None, "three"),
    ],
    ids=str,
)
def test_the_one_after_the_command_wins_and_a_variable_loses(
    words: list[str], variable: str | None, driver: str
) -> None:
    ended = call(*words, HSUP_DRIVER=variable)
    if driver == "simple":
        assert 'hsup: built v1 of shop for driver "simple"' in ended.output
    else:
        assert f'"{driver}"' in str(ended.exception)
