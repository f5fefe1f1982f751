"""With which status hsup ends where an option is wrong, however it was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.errors import HsupError
from tests.cli.calling import call, failed

#: Values that are wrong by themselves, or name what is not there, or what the driver cannot do.
_WRONG = (
    ("driver", "nosuch"),
    ("source", "nosuch"),
    ("procfile", "nosuch"),
    ("procfile", "/"),
    ("env-file", "nosuch"),
    ("env-file", "below"),
    ("root", "nosuch"),
    ("root", "Procfile"),
    ("port", "http"),
    ("grace", "inf"),
    ("size", "eco"),
    ("start-number", "0"),
    ("log-format", "xml"),
)
#: The same, for options of which `hsup run` takes no notice.
_WRONG_FORMATIONS = (
    ("formation", "nosuch=1"),
    ("formation", "web"),
    ("formation", "web=many"),
    ("formation", "web=1:eco"),
    ("formation", "all=1:eco"),
)
#: The same, for options that files cannot have.
_WRONG_OF_USER = (
    ("bind", "/tmp"),
    ("bind", "/nosuch"),
    ("control-socket", "socket"),
    ("logplex-url", "nowhere"),
    ("drain", "gopher://logs.example"),
)
_RUN, _OTHERS = ("run", "true"), (("start",), ("check",))


#: Calls a command with an option; and what its errors have to name.
Given = tuple[Callable[..., HsupError], str]


def _typed(directory: Path, option: str, value: str) -> Given:
    del directory
    return lambda command, *words: failed(command, f"--{option}", value, *words), ""


def _variable(directory: Path, option: str, value: str) -> Given:
    del directory
    variable = f"HSUP_{option.replace('-', '_').upper()}"
    return lambda *words: failed(*words, **{variable: value}), variable


def _toml(directory: Path, option: str, value: str) -> Given:
    (directory / "hsup.toml").write_text(f"{option} = {json.dumps(value)}\n")
    return failed, f'{directory}/hsup.toml: "{option}"'


def _foreman(directory: Path, option: str, value: str) -> Given:
    (directory / ".foreman").write_text(f"{option}: {json.dumps(value)}\n")
    return failed, f'{directory}/.foreman: "{option}"'


_BY_USER, _BY_FILE = (_typed, _variable), (_toml, _foreman)


def _cases() -> list[tuple[object, ...]]:
    return [
        (giving, option, value, commands)
        for options, ways, commands in (
            (_WRONG, (*_BY_USER, *_BY_FILE), (*_OTHERS, _RUN)),
            (_WRONG_FORMATIONS, (*_BY_USER, *_BY_FILE), _OTHERS),
            (_WRONG_OF_USER, _BY_USER, (*_OTHERS, _RUN)),
        )
        for option, value in options
        for giving in ways
    ]


@pytest.mark.parametrize(
    ("giving", "option", "value", "commands"),
    _cases(),
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_wrong_option_is_bad_usage_and_named(
    directory: Path,
    giving: Callable[[Path, str, str], Given],
    option: str,
    value: str,
    commands: tuple[tuple[str, ...], ...],
) -> None:
    (directory / "below").mkdir()
    fail, told = giving(directory, option, value)
    for command in commands:
        error = fail(*command)
        assert error.exit_code == 2
        assert told in str(error)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("timeout", ".inf", '"timeout" must be a number of seconds, 0 or more, got "inf"'),
        ("concurrency", "nosuch=1", '"concurrency": v1 of shop has no process type "nosuch"'),
        ("env", "nosuch", '"env": cannot read '),
    ],
)
@pytest.mark.parametrize("command", _OTHERS, ids=str)
def test_a_key_of_a_file_is_named_as_it_is_there(
    directory: Path, command: tuple[str, ...], key: str, value: str, told: str
) -> None:
    (directory / ".foreman").write_text(f"{key}: {value}\n")
    error = failed(*command)
    assert error.exit_code == 2
    assert f"{directory}/.foreman: {told}" in str(error)


@pytest.mark.parametrize(("variable", "words"), [("HSUP_FORMATION", ()), (None, ("-c",))])
def test_a_type_of_the_formation_that_is_missing_is_told_with_what_named_it(
    directory: Path, variable: str | None, words: tuple[str, ...]
) -> None:
    (directory / "Procfile").write_text("web: ./serve\n")
    for command in ("start", "check"):
        if variable is None:
            error, name = failed(command, *words, "nosuch=1"), "--formation"
        else:
            error, name = failed(command, **{variable: "nosuch=1"}), variable
        assert str(error) == f'{name}: v1 of shop has no process type "nosuch"; choose from web'
    assert str(failed("start", "nosuch")).startswith('v1 of shop has no process type "nosuch"')


@pytest.mark.parametrize("command", [("start",), ("run", "true")], ids=str)
def test_what_is_wrong_in_a_file_that_an_option_names_is_no_bad_usage(
    directory: Path, command: tuple[str, ...]
) -> None:
    (directory / "dev.env").write_text("PORT=http\n")
    assert failed(command[0], "-e", "dev.env", *command[1:]).exit_code == 1
    assert call("check", "-e", "dev.env").exit_code == 1
    (directory / ".env").write_text("PORT=http\n")
    assert failed(*command).exit_code == 1


@pytest.mark.parametrize("command", _OTHERS, ids=str)
def test_a_file_that_was_not_named_is_not_taken_for_one_whose_path_it_begins_with(
    directory: Path, command: tuple[str, ...]
) -> None:
    (directory / "app").write_text("A=1\n")
    (directory / "app.json").symlink_to("app.json")  # which cannot be read
    for error in (failed(*command, "-e", "app"), failed(*command, HSUP_ENV_FILE="app")):
        assert error.exit_code == 1
        assert str(error).startswith(f"cannot read {directory}/app.json: ")
