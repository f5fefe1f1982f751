from __future__ import annotations

import pytest

from hsup.errors import PluginError, UsageError
from tests.cli.calling import call, failed
from tests.cli.telling import SIZED

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["web", "--quantities", "release"], "cannot be used together with TYPE"),
        (["wroker"], 'v1 of shop has no process type "wroker"; choose from web, worker'),
    ],
    ids=str,
)
def test_what_it_does_not_understand_is_bad_usage(words, text):
    error = failed("start", *words)
    assert isinstance(error, UsageError)
    assert text in str(error)


@pytest.mark.parametrize(
    "words",
    [
        ["--start-number", "0"],
        ["--grace", "-1"],
        ["--grace", "soon"],
        ["--log-format", "xml"],
        ["--quantities", "all"],
    ],
    ids=str,
)
def test_an_option_with_a_value_that_it_does_not_take_is_bad_usage(words):
    assert call("start", *words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (["-s", "hsup.sock"], "hsup-control"),
        (["--logplex-url", "https://logs.example"], "hsup-log-drain"),
    ],
    ids=str,
)
def test_an_option_whose_package_is_missing_names_it(words, package):
    error = failed("start", *words)
    assert isinstance(error, PluginError)
    assert f"pip install {package}" in str(error)


def test_nothing_is_wanted_where_every_quantity_is_0(capfd):
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
def test_dynos_have_the_size_of_their_type_or_else_the_one_of_all(install, capfd, words, told):
    install("hsup-driver-sized", SIZED)
    assert call("start", "--oneshot", "-d", "sized", *words).exit_code == 255
    assert f"Cannot start: {told}" in capfd.readouterr().out


@pytest.mark.parametrize("words", [["web=1:eco"], ["web=1", "--size", "eco"]], ids=str)
def test_a_driver_that_limits_nothing_refuses_sizes(words):
    assert 'driver "simple" does not limit dynos' in str(call("start", *words).exception)
