"""The command line itself: help, version, sources, and what is wrong with a call."""

from __future__ import annotations

import re

import pytest

from ftest.program import Hsup

COMMANDS = ["build", "check", "plugins", "run", "start"]


def test_the_version_is_printed(hsup: Hsup) -> None:
    done = hsup.call("--version")
    assert done.status == 0
    assert re.search(r"\d+\.\d+\.\d+", done.text)


def test_the_help_lists_the_commands_and_has_examples(hsup: Hsup) -> None:
    done = hsup.call("--help")
    assert done.status == 0
    assert all(command in done.text for command in COMMANDS)
    assert "xample" in done.text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(hsup: Hsup, command: str) -> None:
    done = hsup.call(command, "--help")
    assert done.status == 0
    assert "Usage: hsup" in done.text


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-command",),
        ("start", "--no-such-option"),
        ("--no-such-option", "start"),
        ("start", "--grace", "soon"),
        ("start", "--grace", "-1"),
        ("start", "--start-number", "0"),
        ("start", "--log-format", "xml"),
        ("start", "--quantities", "some"),
    ],
)
def test_a_faulty_call_is_a_usage_error(hsup: Hsup, words: tuple[str, ...]) -> None:
    hsup.procfile(web="true")
    done = hsup.call(*words)
    assert done.status == 2
    assert done.out == b""
    assert "Traceback" not in done.message


def test_a_faulty_variable_is_a_usage_error_that_names_it(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    done = hsup.call("start", env={"HSUP_GRACE": "soon"})
    assert done.status == 2
    assert "soon" in done.message


def test_without_any_source_the_three_ways_are_listed(hsup: Hsup) -> None:
    done = hsup.call("start")
    assert done.status in {1, 2}
    assert done.message.startswith("hsup: ")
    for way in ("HEROKU_ACCESS_TOKEN", "HSUP_CONTROL_DIR", "Procfile"):
        assert way in done.message


def test_the_control_directory_comes_before_the_procfile(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    (hsup.directory / ".env").write_text("NAME=procfile\n")
    hsup.release(Env={"NAME": "directory"}, Processes=[])
    assert hsup.call("run", "echo $NAME").text == "directory\n"
    assert hsup.call("--source", "procfile", "run", "echo $NAME").text == "procfile\n"
    assert hsup.call("run", "echo $NAME", env={"HSUP_SOURCE": "procfile"}).text == "procfile\n"


def test_the_name_of_the_driver_option_of_the_go_program_works(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    assert hsup.call("run", "--dynodriver", hsup.driver, "true").status == 0
    assert hsup.call("run", "-d", hsup.driver, "true").status == 0
    hsup.driver = "nope"
    assert hsup.call("run", "true").status in {1, 2}


def test_build_prepares_the_release_and_runs_nothing(hsup: Hsup) -> None:
    hsup.procfile(web="echo never", release="echo never")
    done = hsup.call("build")
    assert done.status == 0
    assert "never\n" not in done.text


def test_an_application_has_its_options_in_a_file(hsup: Hsup) -> None:
    (hsup.directory / "Procfile.dev").write_text('web: echo "$PORT $GREETING"\n')
    (hsup.directory / "dev.env").write_text("GREETING=hello\n")
    options = 'procfile = "Procfile.dev"\nenv-file = "dev.env"\nport = 7000\nlog-format = "plain"\n'
    (hsup.directory / "hsup.toml").write_text(options)
    assert "web.1      | 7000 hello\n" in hsup.call("start", "--oneshot").text
    assert hsup.call("run", "-p", "8000", "web").text == "8000 hello\n"
    assert hsup.call("check").text == "Procfile.dev: ok\n"
