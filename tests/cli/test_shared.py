from __future__ import annotations

import click
import pytest

from hsup.cli.commands import hsup as command_line
from tests.cli.calling import call
from tests.cli.telling import SIZED
from tests.conftest import Installer

CONTAINERS = "Options of every command, for drivers with containers"


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


def titles(text: str) -> list[str]:
    return [line.rstrip(":") for line in text.splitlines() if line[:1].isalpha()]


@pytest.mark.usefixtures("directory")
def test_help_has_the_options_of_the_command_first() -> None:
    assert titles(call("start", "--help").output)[1:] == [
        "Options",
        "Options of every command, before or after its name",
    ]
    text = call("--help").output
    assert titles(text)[1:] == [
        "Options",
        "Commands",
        "Options of every command, before or after its name",
    ]
    assert text.index("--version") < text.index("\n  start ") < text.index("--driver")


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "variable", "is_shown"),
    [
        ("start --help", None, False),
        ("start --help", "simple", False),
        ("start --help", "sized", True),
        ("-d sized start --help", None, True),
        ("start -d sized --help", None, True),
        ("start --driver=sized --help", "simple", True),
        ("start --dynodriver simple --help", "sized", False),
        ("start -d unknown --help", None, True),
        ("start -d", None, None),
    ],
)
def test_help_has_what_only_containers_can_do_with_a_driver_that_has_them(
    install: Installer, words: str, variable: str | None, *, is_shown: bool | None
) -> None:
    install("hsup-driver-sized", SIZED)
    text = call(*words.split(), HSUP_DRIVER=variable).output
    assert (titles(text)[-1:] == [CONTAINERS]) is bool(is_shown)
    assert ("--bind HOST" in text) is bool(is_shown)
