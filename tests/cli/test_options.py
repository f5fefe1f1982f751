from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from hsup.cli.commands import hsup as command_line
from hsup.cli.components import Components
from hsup.cli.defaults import VARIABLES
from hsup.cli.options import Options
from hsup.cli.start import command as start
from hsup.errors import UsageError
from hsup.model import Bind
from tests.cli.calling import call, failed
from tests.cli.telling import TELLING
from tests.conftest import Installer


def test_the_variables_of_all_options_are_known_without_click() -> None:
    of_start = [one for one in start.params if isinstance(one, click.Option)]
    variables = {one.envvar for one in (*command_line.params, *of_start)} - {None}
    assert variables | {"_HSUP_COMPLETE"} == VARIABLES


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "app"),
    [
        (["build"], "variable"),
        (["-a", "before", "build"], "before"),
        (["--app", "before", "build", "--app", "after"], "after"),
    ],
    ids=str,
)
def test_plugins_get_what_was_asked_for(install: Installer, words: list[str], app: str) -> None:
    install("hsup-driver-telling", TELLING)
    ended = call("-d", "telling", *words, HSUP_APP="variable")
    assert ended.exit_code == 0, ended.exception
    assert f"app {app}\n" in ended.output


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("relative", 'cannot bind "relative": both paths must be absolute; begin them with /'),
        ("/:relative", "both paths must be absolute"),
        ("/nowhere:/x", "/nowhere does not exist on this machine; create it first"),
        ("/:/x:rw", 'cannot bind "/:/x:rw": it must be HOST[:DYNO][:ro]'),
        ("/tmp:/", "/ is reserved in a dyno; choose another path for the dyno: HOST:DYNO"),
        ("/tmp:/proc:ro", "/proc is reserved in a dyno"),
    ],
    ids=str,
)
def test_a_path_that_cannot_be_bound_is_bad_usage(install: Installer, path: str, text: str) -> None:
    install("hsup-driver-telling", TELLING)
    error = failed("build", "-d", "telling", "--bind", path)
    assert isinstance(error, UsageError)
    assert text in str(error)


def test_what_stands_after_the_command_counts_more() -> None:
    before = Options({"driver": "a", "oneshot": True, "grace": 5.0, "verbose": None})
    options = before.refined({"driver": "b", "oneshot": False, "grace": 0.0, "verbose": True})
    assert (options.driver, options.one_shot, options.grace_seconds) == ("b", False, 0.0)
    assert options.is_verbose


def test_what_does_not_stand_after_the_command_counts_from_before_it() -> None:
    before = Options({"driver": "a", "oneshot": True, "start_number": 3, "log_format": "json"})
    options = before.refined({"driver": None, "oneshot": None, "start_number": None})
    assert (options.driver, options.one_shot, options.start_number) == ("a", True, 3)
    assert options.log_format == "json"


def test_binds_of_both_places_count(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    options = Options({"binds": (f"{first}:/app/a",)}).refined({"binds": (str(second),)})
    assert options.binds == (
        Bind(host=first, dyno=Path("/app/a")),
        Bind(host=second, dyno=second),
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-e", "a.env", "run", "-e", "b.env"), "b a"),
        (("-e", "b.env", "run", "-e", "a.env"), "a a"),
        (("-e", "a.env,b.env", "run"), "b a"),
        (("run", "-e", "b.env"), "b"),
        (("-e", "b.env", "run"), "b"),
        (("run",), "a a c"),
    ],
)
def test_env_files_of_both_places_count_and_a_variable_only_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: str
) -> None:
    """Later files take precedence."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Procfile").write_text("web: echo $BOTH $A $C\n")
    (tmp_path / "a.env").write_text("BOTH=a\nA=a\n")
    (tmp_path / "b.env").write_text("BOTH=b\n")
    (tmp_path / "c.env").write_text("C=c\n")
    done = subprocess.run(
        [sys.executable, "-m", "hsup", *words, "web"],
        env={"HSUP_ENV_FILE": "a.env,c.env"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{expected}\n", "")


@pytest.mark.parametrize(
    ("after", "dyno", "read_only"),
    [
        ("", None, False),
        (":ro", None, True),
        (":/app/data", "/app/data", False),
        (":/app/data:ro", "/app/data", True),
    ],
)
def test_a_path_is_bound_for_reading_and_writing_or_for_reading_only(
    tmp_path: Path, after: str, dyno: str | None, read_only: bool
) -> None:
    bind = Options({"binds": (f"{tmp_path}{after}",)}).binds[0]
    assert bind == Bind(host=tmp_path, dyno=Path(dyno or tmp_path), read_only=read_only)


def test_without_options_there_are_the_documented_defaults() -> None:
    options = Options({})
    assert (options.driver, options.source, options.log_format) == ("simple", None, "heroku")
    assert (options.grace_seconds, options.one_shot, options.start_number) == (30.0, False, None)
    assert (options.binds, options.is_verbose, options.size) == ((), False, None)


@pytest.mark.usefixtures("directory")
def test_a_variable_with_several_files_is_split_at_commas_alone(directory: Path) -> None:
    (directory / "a b.env").write_text("A\n")
    (directory / "c.env").write_text("C\n")
    ended = call("check", HSUP_ENV_FILE="a b.env,c.env")
    assert [line.partition(":")[0] for line in ended.output.splitlines()[:2]] == [
        "a b.env",
        "c.env",
    ]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("HSUP_FOO", "HSUP_FOO is not passed on to dynos: it is meant for hsup alone"),
        ("A=1", '"A=1" is not the name of a variable, so nothing is passed on to dynos'),
    ],
)
def test_a_name_that_passes_nothing_on_is_warned_of(
    name: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = Options({"pass_env": (name, "UNSET_BUT_FINE", "AWS_*")})
    parts = Components(options)
    parts.passing(parts.driver())
    assert capfd.readouterr().err == f"hsup: warning: --pass-env: {told}\n"


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-f", ""), '--procfile must name a file, got ""'),
        (("--root", ""), '--root must name a directory, got ""'),
        (("-e", ""), '--env-file must name a file, got ""'),
        (("-e", "a.env", "-e", ","), '--env-file must name a file, got ","'),
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["start", "check"])
def test_a_path_of_no_character_is_bad_usage(
    command: str, words: tuple[str, ...], told: str
) -> None:
    assert str(failed(command, *words)) == told


@pytest.mark.usefixtures("directory")
def test_a_variable_that_names_no_file_is_told_by_its_name() -> None:
    error = failed("start", HSUP_ENV_FILE=",")
    assert str(error) == 'HSUP_ENV_FILE must name a file, got ","'
