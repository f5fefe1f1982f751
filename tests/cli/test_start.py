from __future__ import annotations

import pytest

from hsup.errors import PluginError, UsageError
from tests.cli.calling import call, failed
from tests.cli.telling import SIZED
from tests.conftest import Installer

pytestmark = pytest.mark.usefixtures("directory")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["web", "--quantities", "release"], "cannot be used together with TYPE"),
        (["wroker"], 'v1 of shop has no process type "wroker"; choose from web, worker'),
    ],
    ids=str,
)
def test_what_it_does_not_understand_is_bad_usage(words: list[str], text: str) -> None:
    error = failed("start", *words)
    assert isinstance(error, UsageError)
    assert text in str(error)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("start-number", "0", "a whole number, 1 or more"),
        ("start-number", "two", "a whole number, 1 or more"),
        ("grace", "-1", "a number of seconds, 0 or more"),
        ("grace", "soon", "a number of seconds, 0 or more"),
        ("log-format", "xml", '"screen", "heroku", "plain", "json", "raw" or "none"'),
        ("quantities", "all", '"one" or "release"'),
    ],
)
def test_an_option_with_a_value_that_it_does_not_take_is_bad_usage(
    option: str, value: str, expected: str
) -> None:
    error = failed("start", f"--{option}", value)
    assert error.exit_code == 2
    assert str(error) == f'--{option} must be {expected}, got "{value}"'
    variable = f"HSUP_{option.upper().replace('-', '_')}"
    told = str(failed("start", **{variable: value}))
    assert told == f'{variable} must be {expected}, got "{value}"'


@pytest.mark.parametrize("option", ["--stdin", "--exit-code-from"])
def test_an_option_that_takes_one_name_is_refused_two(option: str) -> None:
    told = f'{option} can be given only once, got "web", "worker"'
    assert str(failed("start", option, "web", option, "worker")) == told
    assert "nosuch" in str(failed("start", option, "nosuch", option, "nosuch"))


@pytest.mark.parametrize(
    "words", [["-m", "web=1", "-m", "nosuch=1"], ["-m", "nosuch=1", "-c", "web=1"]], ids=str
)
def test_formations_are_joined(words: list[str]) -> None:
    for line in (["start", *words], [*words[:2], "start", *words[2:]]):
        assert 'no process type "nosuch"' in str(failed(*line))


def test_a_type_of_two_formations_is_given_twice() -> None:
    expected = '--formation: "web=2": process type "web" was already given'
    assert str(failed("start", "-m", "web=1", "-c", "web=2")) == expected
    assert str(failed("-m", "web=1", "start", "-m", "web=2")) == expected


def test_only_can_be_repeated() -> None:
    error = str(failed("start", "--only", "nosuch", "--only", "web"))
    assert error == '--only: no dyno "nosuch" is started; choose from web, worker'


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_grace_period_has_an_end(value: str) -> None:
    expected = f'--grace must be a number of seconds, 0 or more, got "{value}"'
    assert str(failed("start", "--grace", value)) == expected


@pytest.mark.parametrize("option", ["ONESHOT", "STAY", "VERBOSE", "DYNO_METADATA"])
def test_a_variable_that_is_neither_on_nor_off_is_bad_usage(option: str) -> None:
    variable = f"HSUP_{option}"
    assert str(failed("start", **{variable: "x"})) == f'{variable} must be 1 or 0, got "x"'


def test_an_option_whose_package_is_missing_names_it() -> None:
    error = failed("start", "-s", "hsup.sock")
    assert isinstance(error, PluginError)
    assert "and hsup-control has not been published yet" in str(error)


def test_nothing_is_wanted_where_every_quantity_is_0(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("start", "web=0").exit_code == 0
    assert "Nothing is left to run" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["web=1:Standard-2X"], "size Standard-2X"),
        (["web=1:Standard-2X", "--size", "eco"], "size Standard-2X"),
        (["web=1", "--size", "eco"], "size eco"),
        (["web"], "size None"),
    ],
    ids=str,
)
def test_dynos_have_the_size_of_their_type_or_else_the_one_of_all(
    install: Installer, capfd: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    install("hsup-driver-sized", SIZED)
    assert call("start", "--oneshot", "-d", "sized", *words).exit_code == 255
    assert f"Cannot start: {told}" in capfd.readouterr().out


@pytest.mark.parametrize("words", [["web=1:eco"], ["web=1", "--size", "eco"]], ids=str)
def test_a_driver_that_limits_nothing_refuses_sizes(words: list[str]) -> None:
    assert 'driver "simple" does not limit dynos' in str(call("start", *words).exception)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ONLY", "foo", 'no dyno "foo" is started; choose from web, worker'),
        ("STDIN", "foo", 'dyno "foo.1" is not started; choose from web.1, worker.1'),
        ("EXIT_CODE_FROM", "foo", 'no dyno of process type "foo" is started'),
        ("DRIVER", "foo", 'there is no driver "foo"'),
        ("SOURCE", "foo", 'there is no source "foo"'),
        ("PROCFILE", "nope", "cannot read "),
        ("ENV_FILE", "nope,a", "cannot read "),
        ("FORMATION", " web", '"web": the quantity is missing'),
        ("BIND", "x", 'cannot bind "x": both paths must be absolute'),
    ],
)
def test_the_error_of_a_variable_names_it(variable: str, value: str, told: str) -> None:
    assert str(failed("start", **{f"HSUP_{variable}": value})).startswith(
        f"HSUP_{variable}: {told}"
    )
    option = f"--{variable.lower().replace('_', '-')}"
    assert "HSUP_" not in str(failed("start", option, value, **{f"HSUP_{variable}": value}))


@pytest.mark.parametrize("option", ["--no-prefix", "--prefix", "--no-timestamps"])
def test_an_option_for_the_screen_is_refused_by_the_name_that_was_typed(option: str) -> None:
    told = f'{option} applies only to the format for the screen, and {{}} is "plain"; leave one'
    error = str(failed("start", option, "--log-format", "plain"))
    assert error.startswith(told.format("--log-format"))
    error = str(failed("start", option, HSUP_LOG_FORMAT="plain"))
    assert error.startswith(told.format("HSUP_LOG_FORMAT"))
