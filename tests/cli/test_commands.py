from __future__ import annotations

import pytest

import hsup
from tests.cli.calling import call
from tests.conftest import Installer

COMMANDS = ["run", "start", "build", "check", "doctor", "plugins"]


def test_the_version_is_told() -> None:
    assert call("--version").output == f"hsup, version {hsup.__version__}\n"


def test_help_lists_the_commands_and_examples() -> None:
    text = call("--help").output
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert "  Examples:\n    hsup start " in text
    assert "_HSUP_COMPLETE=bash_source" in text


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_of_every_command_has_examples(command: str, option: str) -> None:
    ended = call(command, option)
    assert ended.exit_code == 0
    assert "example" in ended.output.lower()


@pytest.mark.parametrize(
    "words", [["frob"], ["--frob"], ["start", "--frob"], ["run"], ["check", "a", "b"]], ids=str
)
def test_bad_usage_ends_with_2(words: list[str]) -> None:
    ended = call(*words)
    assert ended.exit_code == 2
    assert "Usage: hsup" in ended.output


@pytest.mark.usefixtures("directory")
def test_help_works_with_a_broken_plugin(install: Installer) -> None:
    install("hsup-driver-frob", "1 / 0\n")
    assert call("--help").exit_code == 0


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("returned", ["42", "[42]", "[None]"])
def test_help_works_with_a_plugin_whose_commands_are_none(
    install: Installer, returned: str
) -> None:
    code = "from hsup import hookimpl\n@hookimpl\ndef hsup_register_commands():\n"
    install("hsup-frob", f"{code}    return {returned}\n")
    ended = call("--help")
    assert ended.exit_code == 0, ended.exception


COMMAND = """
import click
from hsup import hookimpl
from hsup.api import CommandContext

@click.command()
@click.pass_obj
def {name}(context: CommandContext):
    "Say hello."
    app, driver, source = context.settings().app, context.driver, context.source
    click.echo(f"hello from {{app}}, {{driver}}, {{source}}, {{context.is_verbose}}")

@hookimpl
def hsup_register_commands():
    return [{name}]
"""


def test_a_command_of_a_plugin_is_listed_and_called_with_the_options_before_it(
    install: Installer,
) -> None:
    install("hsup-greet", COMMAND.format(name="greet"))
    assert "\n  greet " in call("--help").output
    assert call("greet").output == "hello from None, simple, None, False\n"
    ended = call("-v", "-d", "frob", "--source", "git", "greet", HSUP_APP="myapp")
    assert ended.output == "hello from myapp, frob, git, True\n"


def test_a_command_of_a_plugin_cannot_replace_one_of_hsups_own(install: Installer) -> None:
    install("hsup-greet", COMMAND.format(name="check"))
    assert "hello" not in call("check", "--help").output
    assert call("--help").output.count("\n  check ") == 1


def test_completion_knows_the_commands() -> None:
    ended = call(_HSUP_COMPLETE="bash_complete", COMP_WORDS="hsup sta", COMP_CWORD="1")
    assert "plain,start\n" in ended.output


def test_completion_knows_where_a_path_is_meant() -> None:
    words = "hsup start --control-socket /ru"
    ended = call(_HSUP_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="3")
    assert ended.output == "file,/ru\n"
