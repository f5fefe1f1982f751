from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest

from hsup.launch import START_UP, START_UP_FILE, dyno_id, environment, start_up
from hsup.model import Command
from hsup.terminal import FORWARDED
from hsup.testing import make_spec


def test_a_dyno_has_the_config_and_its_port_and_name() -> None:
    spec = make_spec("web.2", port=5001, config={"RACK_ENV": "production"})
    assert environment(spec) == {"RACK_ENV": "production", "PORT": "5001", "DYNO": "web.2"}


def test_config_cannot_override_port_and_name() -> None:
    spec = make_spec("web.2", port=5001, config={"PORT": "80", "DYNO": "me"})
    assert environment(spec) == {"PORT": "5001", "DYNO": "web.2"}


def test_config_has_the_port_where_the_release_sets_it() -> None:
    spec = make_spec("web.2", port=None, config={"PORT": "80"})
    assert environment(spec) == {"PORT": "80", "DYNO": "web.2"}


def test_the_config_of_a_release_is_left_as_it_is() -> None:
    spec = make_spec(config={"A": "1"})
    environment(spec)
    assert spec.config == {"A": "1"}


def started(
    directory: Path, command: Command, *scripts: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Start a command as a dyno with these scripts in its .profile.d does."""
    app, file = directory / "app", directory / "start-up.sh"
    (app / ".profile.d").mkdir(parents=True)
    for number, script in enumerate(scripts):
        (app / f".profile.d/{number}.sh").write_text(f"{script}\n")
    file.write_text(START_UP.replace("/app/", f"{app}/"))
    argv = [word.replace(START_UP_FILE, str(file)) for word in start_up(command)]
    variables = {"PATH": "/usr/bin:/bin", **(env or {})}
    return subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)


#: What a script in .profile.d may do that is nothing to the command.
OWN_AFFAIRS = [
    "set -- other words",
    "shift",
    "return 3",
    "set -e; return 3",
    "set -euo pipefail",
    "set -f; IFS=ab",
    "set -k; set +B; set -a",
    "shopt -s failglob nullglob",
    "set -o posix",
    "set -x",
    "break",
    "continue",
    "nosuchprogram; false",
]


@pytest.mark.parametrize("script", OWN_AFFAIRS)
def test_what_a_script_does_for_itself_changes_no_argv(tmp_path: Path, script: str) -> None:
    command = Command(("sh", "-c", 'echo "$NEXT" $# "$@"', "sh", "a  b", "", "c"))
    done = started(tmp_path, command, script, "export NEXT=next")
    assert (done.stdout, done.returncode) == ("next 3 a  b  c\n", 0)


@pytest.mark.parametrize("script", OWN_AFFAIRS)
def test_what_a_script_does_for_itself_changes_no_line(tmp_path: Path, script: str) -> None:
    line = "false; A='xa  xb'; echo $NEXT $A $# $UNSET *nosuch {1,2} $-"
    done = started(tmp_path, Command((line,)), script, "NEXT=next")
    assert (done.stdout, done.returncode) == ("next xa xb 0 *nosuch 1 2 hBc\n", 0)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 4", 4),
        ("set -e; . /dev/null; false", 1),
        ("set -u; : $nosuch", 127),
        ("exec nosuch", 127),
    ],
)
def test_that_a_script_kept_the_command_from_running_is_told(
    tmp_path: Path, script: str, status: int
) -> None:
    done = started(tmp_path, Command(("echo", "ran")), "true", script)
    told = f"/1.sh exited with status {status}, so the command was not run\n"
    assert (done.stdout, done.returncode) == ("", status)
    assert done.stderr.endswith(told)


def test_a_trap_of_a_script_is_kept_for_a_line(tmp_path: Path) -> None:
    done = started(tmp_path, Command(("echo line; exit 2",)), "trap 'echo bye' EXIT")
    assert (done.stdout, done.stderr, done.returncode) == ("line\nbye\n", "", 2)


#: Prints the signals that bash catches; see man 5 proc_pid_status.
PRINT_CAUGHT = (
    'while read -r KEY MASK; do [ "$KEY" != SigCgt: ] || echo $MASK; done </proc/$$/status'
)


def test_a_signal_ends_a_command_at_once_whatever_was_read_before_it(tmp_path: Path) -> None:
    """What bash catches until it executes something is lost if it comes just then.

    It always catches SIGINT where it has had a trap for EXIT.
    """
    done = started(tmp_path, Command((PRINT_CAUGHT,)), PRINT_CAUGHT)
    masks = [int(mask, 16) for mask in done.stdout.split()]
    ending = {*FORWARDED} - {signal.SIGINT}
    caught = [one for mask in masks for one in ending if mask & 1 << one - 1]
    assert (len(masks), caught) == (2, [])


def test_a_command_that_fails_is_nothing_to_tell(tmp_path: Path) -> None:
    for number, script in enumerate([(), ("export A=1",)]):
        done = started(tmp_path / str(number), Command(("exit 3",)), *script)
        assert (done.stderr, done.returncode) == ("", 3)


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "LC_CTYPE"])
def test_that_a_locale_is_missing_is_told_once_at_most(tmp_path: Path, name: str) -> None:
    done = started(tmp_path, Command(("echo ran",)), "true", env={name: "xx_YY.UTF-8"})
    assert done.stdout == "ran\n"
    assert done.stderr.count("cannot change locale") <= 1


def test_a_dyno_has_an_id_for_as_long_as_it_runs_the_release() -> None:
    found = dyno_id("shop", 42, "web.1")
    assert str(UUID(found)) == found == dyno_id("shop", 42, "web.1")
    others = {dyno_id("shop", 43, "web.1"), dyno_id("shop", 42, "web.2"), dyno_id("a", 42, "web.1")}
    assert len({found, *others}) == 4
