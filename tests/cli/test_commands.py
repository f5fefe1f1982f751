from __future__ import annotations

import pytest

import hsup
from hsup.cli.usage import ELSEWHERE, no_such_command
from hsup.plugins.installation import how_to_install
from tests.cli.calling import call, failed
from tests.conftest import Installer

COMMANDS = ["run", "start", "build", "check", "doctor", "init", "export", "plugins", "completion"]


def test_the_version_is_told() -> None:
    assert call("--version").output == f"hsup, version {hsup.__version__}\n"


def test_help_lists_the_commands_and_examples() -> None:
    text = call("--help").output
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert "  Examples:\n    hsup start " in text
    assert "hsup completion --install" in text


def test_no_summary_of_a_command_is_cut() -> None:
    listed = call("--help", COLUMNS="80").output.partition("\nCommands:\n")[2].partition("\n\n")[0]
    assert len(listed.splitlines()) >= len(COMMANDS)
    assert "..." not in listed


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_of_every_command_has_examples(command: str, option: str) -> None:
    ended = call(command, option)
    assert ended.exit_code == 0
    assert "example" in ended.output.lower()


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("frob", 'there is no command "frob"; choose from build, check, '),
        ("strat", 'there is no command "strat"; did you mean "start"?'),
        ("ps", 'there is no command "ps"; hsup start reports every change of a dyno in its output'),
        ("up", 'there is no command "up"; hsup start starts the dynos of an application'),
        ("config:set A=1", 'there is no command "config:set"; config vars are in .env'),
        ("--frob", "there is no option --frob; see hsup --help"),
        ("start --frob", "there is no option --frob; see hsup start --help"),
        ("start --grcae 3", "there is no option --grcae; did you mean --grace?"),
        ("start --no-vrebose", "there is no option --no-vrebose; did you mean --no-verbose?"),
        ("start -z", "there is no option -z; see hsup start --help"),
        ("start -t 5", "there is no option -t; --grace SECONDS sets the time between SIGTERM and"),
        ("start --no-colour", "there is no option --no-colour; set NO_COLOR=1 for output without"),
        ("start --color", "there is no option --color; on a terminal, hsup colours the names"),
        ("start --no-restart", "there is no option --no-restart; --oneshot runs each dyno once"),
        ("start --auto-restart", "there is no option --auto-restart; hsup start restarts each"),
        ("open", 'there is no command "open"; hsup start says at which address web serves'),
        ("start -q web", "there is no option -q; hsup start --only TYPE prints the lines of"),
        ("start -j Procfile.dev", "there is no option -j; -f FILE names the Procfile"),
        ("start -d /tmp", 'no driver "/tmp"; the directory of the application is --root /tmp'),
        ("start -d /a;b", "the directory of the application is --root '/a;b'"),
        ("start web,worker", '"web,worker": separate process types with blanks: web worker'),
        ("start all=2", 'v1 of shop has no process type "all"; for all types, use -m all=2'),
        ("start web:big", '"web:big"; the size follows the quantity: web=1:big'),
        ("deploy", 'there is no command "deploy"; hsup runs releases, and makes none'),
        ("start --grace", "option --grace needs a value; see hsup start --help"),
        ("start --oneshot=1", "option --oneshot takes no value; see hsup start --help"),
        ("run", "COMMAND is missing; see hsup run --help"),
        ("check a b", 'unexpected argument "b"; see hsup check --help'),
        ("check \x1b", "cannot check "),
        ("\x1b[31m", 'there is no command "\\x1b[31m"'),
    ],
    ids=lambda value: ascii(value[:20]),
)
def test_bad_usage_is_told_in_words_that_lead_on(words: str, told: str) -> None:
    error = failed(*words.split(" "))
    assert error.exit_code == 2
    assert told in str(error)


@pytest.mark.parametrize(
    ("word", "package"),
    [("releases", "hsup-source-heroku"), ("stacks", "hsup-driver-libcontainer")],
)
def test_a_command_whose_package_is_missing_names_it(word: str, package: str) -> None:
    told = str(no_such_command(word, ["start"]))
    assert told == f'the command "{word}" is not installed; {how_to_install(package)}'


def test_no_word_of_another_tool_is_a_command_of_hsup() -> None:
    assert not ELSEWHERE.keys() & {*COMMANDS, "releases", "stacks"}


def test_without_a_command_the_help_is_printed() -> None:
    assert "Usage: hsup [OPTIONS] COMMAND" in call().output


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
