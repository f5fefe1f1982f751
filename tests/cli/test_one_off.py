"""What a driver gets of `hsup run`, and what hsup makes of what it returns."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsup.errors import UsageError
from hsup.supervision.port_reservation import PortReservation
from tests.cli.calling import failed
from tests.cli.telling import DRAINED, SIZED, TELLING
from tests.conftest import Installer

pytestmark = pytest.mark.usefixtures("directory")

# A driver that shows the dyno that it is to run, and how it ends.
SHOWING = """
import json
import click
from hsup import hookimpl
from hsup.errors import DynoStartError
from hsup.model import ExitStatus

class ShowingDriver:
    shares_ports = True

    def sweep(self):
        return ["an old dyno"]

    def build(self, release):
        click.echo(json.dumps({{"built": release.version}}))

    def run(self, spec, grace_seconds):
        name, number = spec.name
        shown = {{"type": name, "number": number, "port": spec.port, "grace": grace_seconds}}
        click.echo(json.dumps(shown | {{"words": spec.command.words}}))
        {ending}

    def close(self):
        click.echo(json.dumps({{"closed": True}}))

    async def start(self, spec, output):
        raise AssertionError("not to be started")

@hookimpl
def hsup_register_drivers():
    return {{"showing": lambda settings: ShowingDriver()}}
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def hsup_run(*words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PORT"}
    words = (sys.executable, "-m", "hsup", "run", *words)
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environ)


@pytest.fixture
def run(install: Installer) -> Run:
    """Return what runs a command with a driver that shows it, and ends in a given way."""

    def run_shown(*words: str, ending: str = "return ExitStatus()", drained: bool = False) -> Any:
        if drained:
            install("hsup-log-kept", DRAINED)
        install("hsup-driver-showing", SHOWING.format(ending=ending))
        return hsup_run("-d", "showing", *words)

    return run_shown


def shown(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return all that the driver has shown."""
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    return found


def test_the_driver_builds_runs_and_closes_and_its_status_is_that_of_hsup(run: Run) -> None:
    done = run("true", ending="return ExitStatus(code=7)")
    assert done.returncode == 7
    kinds = [next(iter(json.loads(line))) for line in done.stdout.splitlines()]
    assert kinds == ["built", "type", "closed"]


def test_a_program_that_a_signal_has_killed_ends_hsup_as_a_shell_would(run: Run) -> None:
    assert run("true", ending="return ExitStatus(signal=15)").returncode == 143


def test_a_one_off_is_numbered_at_random_and_has_a_port_behind_those_of_the_types(run: Run) -> None:
    one = shown(run("echo", "a  b"))
    assert one["type"] == "run"
    assert 1000 <= one["number"] <= 9999
    assert one["port"] == 5000 + 2 * 100 + one["number"] - 1
    assert one["words"] == ["echo", "a  b"]


def test_a_one_off_has_the_number_and_the_grace_that_were_asked_for(run: Run) -> None:
    one = shown(run("--start-number", "3", "--grace", "1.5", "true"))
    assert (one["number"], one["port"], one["grace"]) == (3, 5202, 1.5)


def test_a_one_off_has_the_port_of_the_release(run: Run, directory: Path) -> None:
    (directory / ".env").write_text("PORT=8080\n")
    assert shown(run("true"))["port"] is None


def test_auto_is_a_port_that_no_other_program_has(run: Run, directory: Path) -> None:
    (directory / ".env").write_text("PORT=21000\n")
    words = ("-p", "auto", "--start-number", "3", "true")
    with socket.create_server(("", 21202)):
        assert shown(run(*words))["port"] == 21702


def test_auto_is_a_port_that_no_other_hsup_has(run: Run, directory: Path) -> None:
    (directory / ".env").write_text("PORT=23000\n")
    other = PortReservation()
    assert other.take([23202])
    try:
        assert shown(run("-p", "auto", "--start-number", "3", "true"))["port"] == 23702
    finally:
        other.hold(())


def test_a_type_stands_for_its_command(run: Run) -> None:
    assert shown(run("worker", "42"))["words"] == ["./work 42"]


def test_leftovers_are_told(run: Run) -> None:
    assert "an old dyno" in run("true").stderr


def test_a_dyno_that_cannot_be_started_is_told_in_one_line_and_the_driver_closed(run: Run) -> None:
    done = run("true", ending='raise DynoStartError("no such command", exit_code=127)')
    assert done.returncode == 127
    assert shown(done)["closed"]
    assert [line for line in done.stderr.splitlines() if "old dyno" not in line] == [
        "hsup: no such command"
    ]


def test_a_mistake_of_a_driver_is_an_error_and_the_driver_closed(run: Run) -> None:
    done = run("true", ending='raise ValueError("a slip")')
    assert done.returncode == 1
    assert shown(done)["closed"]
    assert "a slip" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_driver_that_cannot_run_in_the_foreground_is_told(install: Installer) -> None:
    install("hsup-driver-telling", TELLING)
    error = failed("run", "-d", "telling", "true")
    assert isinstance(error, UsageError)
    assert '"telling"' in str(error)


def test_a_one_off_that_ran_out_of_memory_says_so(install: Installer) -> None:
    install("hsup-driver-sized", SIZED)
    done = hsup_run("-d", "sized", "true")
    assert done.returncode == 137
    assert "Error R15 (Memory quota vastly exceeded)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_mistake_of_a_driver_costs_drains_no_line(run: Run, directory: Path) -> None:
    left = 'import subprocess; subprocess.Popen(["sleep", "1000"]); '
    words = ("--drain", "kept://x", "--start-number", "4", "true")
    done = run(*words, ending=f'{left}raise ValueError("a slip")', drained=True)
    assert done.returncode == 1
    assert re.search(r"(?m)^hsup: killed remaining processes: \d+ \(sleep\)$", done.stderr)
    told = (directory / "told").read_text().splitlines()
    assert told[0] == "created"
    assert any(line.startswith('app[run.4] {"type": "run"') for line in told)
    assert any(line.startswith("hsup[run.4] ") and "a slip" in line for line in told)
    assert told[-1] == "closed"


def test_that_a_one_off_ran_out_of_memory_is_delivered_to_drains(
    install: Installer, directory: Path
) -> None:
    install("hsup-driver-sized", SIZED)
    install("hsup-log-kept", DRAINED)
    done = hsup_run("-d", "sized", "--drain", "kept://x", "--start-number", "2", "true")
    assert done.returncode == 137
    told = (directory / "told").read_text().splitlines()
    assert "hsup[run.2] the dyno ran out of memory: Error R15" in told[-2]
