from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import hsup
from hsup.cli.commands import hsup as command_line
from hsup.cli.main import main, words_of_plain_run
from hsup.cli.options import VARIABLES, Options
from hsup.cli.parts import Parts
from hsup.errors import DriverError, HsupError, PluginError, SourceError, UsageError
from hsup.model import Bind
from hsup.plugins import manager as plugin_manager
from hsup.plugins.entry_points import entry_points

COMMANDS = ["run", "start", "build", "check", "doctor", "plugins"]

# A driver that tells on standard error what it was made and called with.
TELLING = """
import click
from hsup import hookimpl

class TellingDriver:
    binds_paths = True

    def __init__(self, settings):
        click.echo(f"app {settings.app}", err=True)

    def build(self, release):
        click.echo(f"build {release}", err=True)

    async def start(self, spec, output):
        raise AssertionError("not to be started")

@hookimpl
def hsup_register_drivers():
    return {"telling": TellingDriver}
"""

# A driver that runs nothing, and tells what it was to run.
SIZED = """
import click
from hsup import hookimpl
from hsup.errors import DynoStartError
from hsup.model import ExitStatus

class SizedDriver:
    def check_size(self, name):
        pass

    def build(self, release):
        pass

    def run(self, spec, grace_seconds):
        click.echo(f"size {spec.size}")
        return ExitStatus(signal=9, out_of_memory=True)

    async def start(self, spec, output):
        raise DynoStartError(f"size {spec.size}")

@hookimpl
def hsup_register_drivers():
    return {"sized": lambda settings: SizedDriver()}
"""

# Drivers that examine the machine: `choosy` has two needs, `broken` cannot be made.
EXAMINING = """
from hsup import hookimpl
from hsup.api import Finding
from hsup.errors import DynoStartError, UsageError

class ChoosyDriver:
    def build(self, release):
        pass

    async def start(self, spec, output):
        pass

    def examine(self):
        return [
            Finding("kernel", is_good=True, text="Linux 6.1"),
            Finding("nft", is_good=False, text="not found", remedy="apt install nftables"),
            Finding("swap", is_good=False, text="none"),
        ]

    def explain(self, spec):
        if spec.size == "wrong":
            raise DynoStartError('there is no size "wrong"')
        mounted = [f"bind {one.host} at {one.dyno}" for one in spec.binds]
        return [f"make room for {spec.name} of {spec.slug.location}", *mounted]

class ContentDriver(ChoosyDriver):
    explain = None

    def examine(self):
        return [Finding("swap", is_good=False, text="none")]

def broken(settings):
    raise UsageError('CHOOSY is "x"', hint="write a number")

def incomplete(settings):
    import no_such_library

@hookimpl
def hsup_register_drivers():
    return {
        "choosy": lambda settings: ChoosyDriver(),
        "content": lambda settings: ContentDriver(),
        "broken": broken,
        "incomplete": incomplete,
    }
"""

SINK = """
from hsup import hookimpl

@hookimpl
def hsup_register_log_sinks():
    raise ValueError("a slip")
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("HEROKU_ACCESS_TOKEN", "HSUP_CONTROL_DIR", "HSUP_DRIVER", "HSUP_SOURCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def quiet_again():
    """Take away what `hsup start` adds to hsup's own logger."""
    logger = logging.getLogger("hsup")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make a folder with an application the current one."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "Procfile").write_text("web: ./serve\nworker: ./work\n")
    monkeypatch.chdir(folder)
    return folder


def call(*words, **variables):
    return CliRunner().invoke(command_line, words, env=variables, prog_name="hsup")


def failed(*words, **variables):
    """Return the HsupError that a call ends with."""
    error = call(*words, **variables).exception
    assert isinstance(error, HsupError), error
    return error


def test_the_version_is_told():
    assert call("--version").output == f"hsup, version {hsup.__version__}\n"


def test_help_lists_the_commands_and_examples():
    text = call("--help").output
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert "  Examples:\n    hsup start " in text
    assert "_HSUP_COMPLETE=bash_source" in text


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_of_every_command_has_examples(command, option):
    ended = call(command, option)
    assert ended.exit_code == 0
    assert "example" in ended.output.lower()


@pytest.mark.parametrize("command", ["run", "start", "build", "check", "doctor"])
def test_every_option_is_accepted_after_the_command_and_told_with_its_variable(
    command, monkeypatch
):
    before = {one.name: one for one in command_line.params}
    context = click.Context(command_line)
    found = command_line.get_command(context, command)
    after = {one.name: one for one in found.params}
    for name in before.keys() - {"version", "help"}:
        one, variable = after[name], before[name].envvar
        assert one.opts == before[name].opts
        assert f"[{variable}]" in one.help
        monkeypatch.setenv(variable, "x")
        assert before[name].resolve_envvar_value(context) == "x"
        # Else it would outweigh an option before the command.
        assert one.resolve_envvar_value(click.Context(found, parent=context)) is None


def test_the_variables_of_all_options_are_known_without_click():
    shared = {one.envvar for one in command_line.params} - {None}
    assert shared | {"_HSUP_COMPLETE"} == VARIABLES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "true"], ("true",)),
        (["run", "echo", "--app", "x", "--"], ("echo", "--app", "x", "--")),
        (["run", "--", "-x", "--"], ("-x", "--")),
        (["run", ""], ("",)),
        (["run", "--"], ()),
        (["run"], ()),
        (["run", "-d", "simple", "true"], ()),
        (["run", "--help"], ()),
        (["-v", "run", "true"], ()),
        (["start", "web"], ()),
        (["runs", "true"], ()),
        ([], ()),
    ],
    ids=str,
)
def test_a_run_without_options_has_the_words_that_click_finds(arguments, words, monkeypatch):
    found = []
    monkeypatch.setattr("hsup.cli.run.run", lambda words, _: found.append(words))
    call(*arguments)
    assert words_of_plain_run(arguments, {"HOME"}) == words
    assert words in {(), *found}
    assert words_of_plain_run(arguments, {"HOME", "HSUP_APP"}) == ()


@pytest.mark.parametrize(
    "words", [["frob"], ["--frob"], ["start", "--frob"], ["run"], ["check", "a", "b"]], ids=str
)
def test_bad_usage_ends_with_2(words):
    ended = call(*words)
    assert ended.exit_code == 2
    assert "Usage: hsup" in ended.output


@pytest.mark.usefixtures("folder")
class TestOptions:
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
    def test_the_one_after_the_command_wins_and_a_variable_loses(self, words, variable, driver):
        ended = call(*words, HSUP_DRIVER=variable)
        if driver == "simple":
            assert "is built for the driver simple" in ended.output
        else:
            assert f'"{driver}"' in str(ended.exception)

    @pytest.mark.parametrize(
        ("words", "app"),
        [
            (["build"], "variable"),
            (["-a", "before", "build"], "before"),
            (["--app", "before", "build", "--app", "after"], "after"),
        ],
        ids=str,
    )
    def test_plugins_get_what_was_asked_for(self, install, words, app):
        install("hsup-driver-telling", TELLING)
        ended = call("-d", "telling", *words, HSUP_APP="variable")
        assert ended.exit_code == 0, ended.exception
        assert f"app {app}\n" in ended.output

    def test_a_release_is_built_by_the_driver(self, install):
        install("hsup-driver-telling", TELLING)
        output = call("build", "-d", "telling").output
        assert "build v1 of shop\n" in output
        assert "hsup: v1 of shop is built for the driver telling\n" in output

    def test_a_path_cannot_be_bound_by_a_driver_that_binds_none(self, folder):
        assert isinstance(failed("build", "--bind", str(folder)), DriverError)

    def test_paths_are_bound_by_a_driver_that_does(self, install, folder):
        install("hsup-driver-telling", TELLING)
        assert call("--bind", str(folder), "build", "-d", "telling").exit_code == 0

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("relative", "begin with /"),
            ("/:relative", "begin with /"),
            ("/nowhere:/x", "/nowhere does not exist"),
            ("/:/x:rw", "it must be HOST[:DYNO][:ro]"),
            ("/tmp:/", "the dyno's own"),
            ("/tmp:/proc:ro", "the dyno's own"),
        ],
        ids=str,
    )
    def test_a_path_that_cannot_be_bound_is_bad_usage(self, install, path, text):
        install("hsup-driver-telling", TELLING)
        error = failed("build", "-d", "telling", "--bind", path)
        assert isinstance(error, UsageError)
        assert text in str(error)


def test_what_stands_after_the_command_counts_more():
    before = Options({"driver": "a", "oneshot": True, "grace": 5.0, "verbose": None})
    options = before.refined({"driver": "b", "oneshot": False, "grace": 0.0, "verbose": True})
    assert (options.driver, options.one_shot, options.grace_seconds) == ("b", False, 0.0)
    assert options.is_verbose


def test_what_does_not_stand_after_the_command_counts_from_before_it():
    before = Options({"driver": "a", "oneshot": True, "start_number": 3, "log_format": "json"})
    options = before.refined({"driver": None, "oneshot": None, "start_number": None})
    assert (options.driver, options.one_shot, options.start_number) == ("a", True, 3)
    assert options.log_format == "json"


def test_binds_of_both_places_count(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    options = Options({"binds": (f"{first}:/app/a",)}).refined({"binds": (str(second),)})
    assert options.binds == (
        Bind(host=first, dyno=Path("/app/a")),
        Bind(host=second, dyno=second),
    )


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
    tmp_path, after, dyno, read_only
):
    bind = Options({"binds": (f"{tmp_path}{after}",)}).binds[0]
    assert bind == Bind(host=tmp_path, dyno=Path(dyno or tmp_path), read_only=read_only)


def test_without_options_there_are_the_documented_defaults():
    options = Options({})
    assert (options.driver, options.source, options.log_format) == ("simple", None, "heroku")
    assert (options.grace_seconds, options.one_shot, options.start_number) == (30.0, False, None)
    assert (options.binds, options.is_verbose, options.size) == ((), False, None)


@pytest.mark.usefixtures("folder")
class TestStart:
    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["web=two"], '"web=two": the quantity must be a whole number of 0 or more, got "two"'),
            (["web=-1"], 'got "-1"'),
            (["web=1.5"], 'got "1.5"'),
            (["web="], 'got ""'),
            (["web=\N{SUPERSCRIPT TWO}"], "whole number"),
            (["web=2:"], '"web=2:": the size is missing, as in web=2:standard-2x'),
            (["web=:standard-2x"], 'got ""'),
            (["web=10001"], "more than 10000 dynos of a type"),
            (["web=" + "1" * 5000], "more than 10000 dynos of a type"),
            (["web", "web=2"], 'the type "web" was already given'),
            (["web", "--quantities", "release"], "exclude one another"),
            (["wroker"], 'no process type "wroker" in v1 of shop; it has web, worker'),
        ],
        ids=str,
    )
    def test_what_it_does_not_understand_is_bad_usage(self, words, text):
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
    def test_an_option_with_a_value_that_it_does_not_take_is_bad_usage(self, words):
        assert call("start", *words).exit_code == 2

    @pytest.mark.parametrize(
        ("words", "package"),
        [
            (["-s", "hsup.sock"], "hsup-control"),
            (["--logplex-url", "https://logs.example"], "hsup-log-drain"),
        ],
        ids=str,
    )
    def test_an_option_whose_package_is_missing_names_it(self, words, package):
        error = failed("start", *words)
        assert isinstance(error, PluginError)
        assert f"pip install {package}" in str(error)

    def test_nothing_is_wanted_where_every_quantity_is_0(self, capfd):
        assert call("start", "web=0").exit_code == 0
        assert "Nothing is left to run" in capfd.readouterr().out


def test_what_a_signal_handler_says_needs_no_stream_that_may_be_in_use(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    Parts(Options({})).calls.say("waiting")
    assert capfd.readouterr().err == "hsup: waiting\n"


def test_start_works_where_standard_error_is_closed(folder):
    words = [sys.executable, "-m", "hsup", "start", "web=0"]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *words], cwd=folder, capture_output=True, check=False
    )
    assert ended.returncode == 0
    assert b"Nothing is left to run" in ended.stdout


# A service that does not heed that it is cancelled, and a driver that can build nothing.
STUBBORN = """
import asyncio
import hsup.plugins.calls
from hsup import hookimpl
from hsup.errors import DriverError

hsup.plugins.calls.LAST_SECONDS = 0.0

class StubbornService:
    async def run(self, supervisor):
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

class UnableDriver:
    def build(self, release):
        raise {error}

    async def start(self, spec, output):
        pass

@hookimpl
def hsup_register_services():
    return {{"stubborn": lambda settings: StubbornService()}}

@hookimpl
def hsup_register_drivers():
    return {{"unable": lambda settings: UnableDriver()}}
"""


def test_start_ends_though_a_service_does_not_where_the_first_release_cannot_be_run(
    folder, install
):
    install("hsup-stubborn", STUBBORN.format(error="DriverError('the engine is away')"))
    words = [sys.executable, "-m", "hsup", "start", "-d", "unable"]
    ended = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1] == "hsup: the engine is away"


def test_without_a_source_all_remedies_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = failed("build")
    assert isinstance(error, UsageError)
    text = str(error)
    remedies = [text.index(one) for one in ("HEROKU_ACCESS_TOKEN", "HSUP_CONTROL_DIR", "Procfile")]
    assert remedies == sorted(remedies)


def test_a_variable_that_asks_for_a_missing_source_is_not_overlooked(folder, monkeypatch):
    installed = [one for one in entry_points("hsup") if one.name != "source-heroku"]
    monkeypatch.setattr(plugin_manager, "entry_points", lambda _: installed)
    error = failed("build", HEROKU_ACCESS_TOKEN="secret", HSUP_CONTROL_DIR=str(folder))
    assert "pip install hsup-source-heroku" in str(error)
    assert "secret" not in str(error)


@pytest.mark.usefixtures("folder")
def test_a_control_directory_comes_before_a_procfile(tmp_path):
    control = tmp_path / "control"
    control.mkdir()
    error = failed("build", HSUP_CONTROL_DIR=str(control))
    assert isinstance(error, SourceError)
    assert call("build", "--source", "procfile", HSUP_CONTROL_DIR=str(control)).exit_code == 0


def test_check_prints_every_fault_with_its_place(folder):
    (folder / "Procfile").write_text("web: ./serve\nweb: ./serve\n: no name\nworker:\n")
    ended = call("check", "Procfile")
    assert ended.exit_code == 1
    kinds = [line.split(": ")[1:3] for line in ended.output.splitlines()]
    assert kinds == [["warning", "line 2"], ["fault", "line 3"], ["fault", "line 4"]]


@pytest.mark.usefixtures("folder")
class TestCheck:
    def test_what_is_good_is_said_so(self):
        ended = call("check")
        assert ended.exit_code == 0
        assert ended.output.endswith(": good\n")

    def test_a_file_that_is_not_there_is_bad_usage(self):
        assert "cannot check gone: there is no such file" in str(failed("check", "gone"))

    def test_a_source_may_be_named(self):
        assert call("check", "--source", "procfile", "Procfile").exit_code == 0


def test_plugins_are_listed_with_their_hooks(install):
    install("hsup-driver-telling", TELLING, version="4.5", entry_point="driver-telling")
    lines = [line.split() for line in call("plugins").output.splitlines()]
    assert lines[0] == ["NAME", "DISTRIBUTION", "VERSION", "HOOKS"]
    assert ["driver-telling", "hsup-driver-telling", "4.5", "hsup_register_drivers"] in lines


def test_a_broken_plugin_is_listed_with_its_fault(install):
    install("hsup-driver-frob", "1 / 0\n", version="4.5", entry_point="driver-frob")
    output = call("plugins").output
    assert "not loaded" in output
    assert 'fault: plugin "driver-frob" of hsup-driver-frob 4.5 is not loaded: ZeroDiv' in output


def test_plugins_are_listed_as_json_too(install):
    install("hsup-driver-frob", "1 / 0\n", version="4.5", entry_point="driver-frob")
    listing = json.loads(call("plugins", "--json").output)
    assert {
        "name": "driver-frob",
        "distribution": "hsup-driver-frob",
        "version": "4.5",
        "hooks": [],
        "error": "ZeroDivisionError: division by zero",
    } in listing["plugins"]
    assert "simple" in listing["drivers"]
    assert {"directory", "procfile"} <= set(listing["sources"])
    assert len(listing["faults"]) == 1


@pytest.mark.usefixtures("folder")
class TestFaultyPlugins:
    def test_a_broken_plugin_is_told_and_the_rest_works(self, install):
        install("hsup-driver-frob", "1 / 0\n", version="4.5", entry_point="driver-frob")
        ended = call("build")
        assert ended.exit_code == 0
        assert 'hsup: warning: plugin "driver-frob" of hsup-driver-frob 4.5' in ended.stderr

    def test_help_works_with_a_broken_plugin(self, install):
        install("hsup-driver-frob", "1 / 0\n")
        assert call("--help").exit_code == 0

    @pytest.mark.parametrize("returned", ["42", "[42]", "[None]"])
    def test_help_works_with_a_plugin_whose_commands_are_none(self, install, returned):
        code = "from hsup import hookimpl\n@hookimpl\ndef hsup_register_commands():\n"
        install("hsup-frob", f"{code}    return {returned}\n")
        ended = call("--help")
        assert ended.exit_code == 0, ended.exception

    def test_a_log_sink_hook_that_raises_is_told(self, install, capsys):
        install("hsup-log-frob", SINK, version="4.5", entry_point="log-frob")
        assert Parts(Options({})).log_sinks() == []
        assert 'plugin "log-frob" of hsup-log-frob 4.5' in capsys.readouterr().err


COMMAND = """
import click
from hsup import hookimpl

@click.command()
@click.pass_obj
def {name}(options):
    "Say hello."
    click.echo(f"hello from {{options.driver}}")

@hookimpl
def hsup_register_commands():
    return [{name}]
"""


def test_a_command_of_a_plugin_is_listed_and_called_with_the_options_before_it(install):
    install("hsup-greet", COMMAND.format(name="greet"))
    assert "\n  greet " in call("--help").output
    assert call("-d", "frob", "greet").output == "hello from frob\n"


def test_a_command_of_a_plugin_cannot_replace_one_of_hsups_own(install):
    install("hsup-greet", COMMAND.format(name="check"))
    assert "hello" not in call("check", "--help").output
    assert call("--help").output.count("\n  check ") == 1


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["build", "-d", "nosuch"], 1, 'hsup: there is no driver "nosuch"; installed: '),
        (["start", "web=x"], 2, 'hsup: "web=x": the quantity must be a whole number'),
    ],
    ids=str,
)
@pytest.mark.usefixtures("folder")
def test_an_error_is_told_in_one_line_with_its_status(monkeypatch, capsys, words, status, text):
    monkeypatch.setattr(sys, "argv", ["hsup", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    assert ended.value.code == status
    assert captured.out == ""
    assert captured.err.startswith(text)
    assert captured.err.count("\n") == 1


def test_completion_knows_the_commands():
    ended = call(_HSUP_COMPLETE="bash_complete", COMP_WORDS="hsup sta", COMP_CWORD="1")
    assert "plain,start\n" in ended.output


def test_completion_knows_where_a_path_is_meant():
    words = "hsup start --control-socket /ru"
    ended = call(_HSUP_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="3")
    assert ended.output == "file,/ru\n"


@pytest.mark.usefixtures("folder")
class TestSizes:
    @pytest.mark.parametrize(
        ("words", "variable", "size"),
        [
            ([], None, "None"),
            ([], "eco", "eco"),
            (["--size", "performance-m"], "eco", "performance-m"),
        ],
        ids=str,
    )
    def test_a_one_off_has_the_size_that_was_asked_for(self, install, words, variable, size):
        install("hsup-driver-sized", SIZED)
        words = [sys.executable, "-m", "hsup", "run", "-d", "sized", *words, "true"]
        environ = {**os.environ, "HSUP_SIZE": variable or ""}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environ)
        assert done.stdout == f"size {size}\n"

    def test_a_one_off_that_ran_out_of_memory_says_so(self, install):
        install("hsup-driver-sized", SIZED)
        words = [sys.executable, "-m", "hsup", "run", "-d", "sized", "true"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 137
        assert done.stderr == (
            "hsup: the dyno ran out of memory: Error R15 (Memory quota vastly exceeded)\n"
        )

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
        self, install, capfd, words, told
    ):
        install("hsup-driver-sized", SIZED)
        assert call("start", "--oneshot", "-d", "sized", *words).exit_code == 255
        assert f"Cannot start: {told}" in capfd.readouterr().out

    @pytest.mark.parametrize("words", [["web=1:eco"], ["web=1", "--size", "eco"]], ids=str)
    def test_a_driver_that_limits_nothing_refuses_sizes(self, words):
        assert "simple does not limit dynos" in str(call("start", *words).exception)


class TestDoctor:
    def test_findings_are_marked_and_remedies_stand_beneath(self, install):
        install("hsup-driver-choosy", EXAMINING)
        ended = call("doctor", "-d", "choosy")
        assert ended.exit_code == 1
        assert ended.output == (
            "choosy:\n"
            "  ok       kernel  Linux 6.1\n"
            "  missing  nft     not found\n"
            "                   apt install nftables\n"
            "  absent   swap    none\n"
        )

    def test_what_is_not_needed_may_be_absent(self, install):
        install("hsup-driver-choosy", EXAMINING)
        assert call("doctor", "-d", "content").exit_code == 0

    def test_a_driver_that_examines_nothing_says_so(self):
        ended = call("doctor", HSUP_DRIVER="simple")
        assert (ended.exit_code, ended.output) == (0, "simple: does not examine the machine\n")

    @pytest.mark.parametrize(
        ("name", "text", "remedy"),
        [
            ("broken", 'CHOOSY is "x"', "write a number"),
            ("incomplete", "No module named 'no_such_library'", "pip install --force-reinstall"),
        ],
    )
    def test_a_driver_that_cannot_be_made_is_a_finding(self, install, name, text, remedy):
        install("hsup-driver-choosy", EXAMINING)
        ended = call("doctor", "-d", name)
        assert ended.exit_code == 1
        assert text in ended.output
        assert remedy in ended.output

    def test_every_driver_is_examined_where_none_is_named(self, install):
        install("hsup-driver-choosy", EXAMINING)
        ended = call("doctor", "--json")
        assert ended.exit_code == 1
        found = json.loads(ended.output)
        assert {"broken", "choosy", "content", "incomplete", "simple"} <= found.keys()
        assert found["simple"] is None
        assert found["choosy"][1] == {
            "subject": "nft",
            "mark": "missing",
            "text": "not found",
            "remedy": "apt install nftables",
        }

    @pytest.mark.parametrize("words", [(), ("--explain",)])
    def test_an_unknown_driver_is_an_error(self, words):
        assert isinstance(failed("doctor", "-d", "nothing", *words), PluginError)

    def test_the_steps_of_a_start_are_numbered(self, install, folder):
        install("hsup-driver-choosy", EXAMINING)
        binds = [word for name in "abcdefghi" for word in ("--bind", f"{folder}:/mnt/{name}")]
        ended = call("doctor", "--explain", "-d", "choosy", *binds)
        assert ended.exit_code == 0
        lines = ended.output.splitlines()
        assert lines[:3] == [
            "choosy:",
            f"   1  make room for web.1 of {folder}",
            f"   2  bind {folder} at /mnt/a",
        ]
        assert lines[-1] == f"  10  bind {folder} at /mnt/i"

    @pytest.mark.parametrize("driver", ["simple", "content"])
    def test_a_driver_that_has_no_steps_to_tell_says_so(self, install, driver):
        install("hsup-driver-choosy", EXAMINING)
        ended = call("doctor", "--explain", "-d", driver)
        assert ended.exit_code == 0
        assert ended.output == f"{driver}: does not tell how it starts a dyno\n"

    def test_one_that_cannot_tell_them_keeps_no_other_from_it(self, install, capsys):
        install("hsup-driver-choosy", EXAMINING)
        ended = call("doctor", "--explain", "--json", "--size", "wrong")
        assert ended.exit_code == 1
        told = json.loads(ended.stdout)
        assert told["simple"] is None
        assert told["content"] is None
        assert told.keys().isdisjoint({"choosy", "broken", "incomplete"})
        text = f"{ended.stderr}{capsys.readouterr().err}"
        assert 'hsup: choosy: there is no size "wrong"' in text
        assert 'hsup: broken: CHOOSY is "x"' in text

    def test_steps_are_a_list_for_programs(self, install, folder):
        install("hsup-driver-choosy", EXAMINING)
        ended = call("doctor", "--explain", "--json", "-d", "choosy")
        assert json.loads(ended.output) == {"choosy": [f"make room for web.1 of {folder}"]}
