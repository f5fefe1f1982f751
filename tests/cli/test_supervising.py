"""Whole runs of `hsup start`: what is left at the end, and what a source may say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.cli.calling import call
from tests.conftest import Installer

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

# A source of two dynos of web that follows the formation, and a driver whose dynos end at once.
FOLLOWED = """
import click
from hsup import hookimpl
from hsup.api import Claim, Fetched
from hsup.model import Command, ExitStatus, ProcessType, Release

class Source:
    def fetch(self):
        types = (ProcessType("web", Command(("serve",)), 2),)
        return Fetched(Release("shop", 1, processes=types))

    async def changes(self):
        yield

class Factory:
    remedy = "ask for it"
    check = print
    follows_formation = {follows}

    def create(self, settings):
        return Source()

    def applies(self, settings):
        return Claim.NONE

class Dyno:
    address = None

    async def wait(self):
        return ExitStatus(code=3)

    async def signal(self, number):
        pass

    async def destroy(self, grace_seconds=0.0):
        return False

class Driver:
    def build(self, release):
        pass

    async def start(self, spec, output):
        click.echo(f"started {{spec.name}}", err=True)
        return Dyno()

@hookimpl
def hsup_register_sources():
    return {{"followed": Factory()}}

@hookimpl
def hsup_register_drivers():
    return {{"ending": lambda settings: Driver()}}
"""


# An observer that blocks hsup as soon as a dyno runs.
BLOCKING = """
import time
from hsup import hookimpl
from hsup.lifecycle import State

@hookimpl
def hsup_dyno_state_changed(event):
    while event.after is State.UP:
        try:
            time.sleep(1)
        except BaseException:
            pass
"""


def echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def test_the_terminal_is_restored_where_hsup_is_blocked_and_leaves_at_once(
    directory: Path, install: Installer
) -> None:
    install("hsup-blocking", BLOCKING)
    (directory / "Procfile").write_text("web: stty -echo && sleep 60\n")
    terminal, end = os.openpty()
    words = [sys.executable, "-m", "hsup", "start", "--stdin", "web"]
    with subprocess.Popen(words, cwd=directory, stdin=end, stdout=subprocess.DEVNULL) as started:
        while echoes(end):
            time.sleep(0.01)
        started.send_signal(signal.SIGQUIT)  # counts as two
        time.sleep(0.2)
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 128 + signal.SIGTERM
    assert echoes(end)
    os.close(terminal)
    os.close(end)


# An observer that logs a warning before there is a release, and blocks hsup.
WARNING = """
import logging
import time
from pathlib import Path
from hsup import hookimpl

@hookimpl
def hsup_supervisor_started(event):
    logging.getLogger("hsup").warning("Docker Engine is old")
    Path("blocked").touch()
    while True:
        try:
            time.sleep(1)
        except BaseException:
            pass
"""


def test_what_hsup_has_said_is_printed_where_it_is_blocked_and_leaves_at_once(
    directory: Path, install: Installer
) -> None:
    install("hsup-warning", WARNING)
    words = [sys.executable, "-m", "hsup", "start", "--no-timestamps"]
    with subprocess.Popen(
        words, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as started:
        while not (directory / "blocked").exists():
            time.sleep(0.01)
        started.send_signal(signal.SIGQUIT)  # counts as two
        time.sleep(0.2)
        started.send_signal(signal.SIGTERM)
        printed, _ = started.communicate(timeout=60)
    assert b"hsup | Warning: Docker Engine is old\n" in printed


def test_start_works_where_standard_error_is_closed(directory: Path) -> None:
    words = [sys.executable, "-m", "hsup", "start", "web=0"]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *words],
        cwd=directory,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0
    assert b"Nothing is left to run" in ended.stdout


def test_start_ends_though_a_service_does_not_where_the_first_release_cannot_be_run(
    directory: Path, install: Installer
) -> None:
    install("hsup-stubborn", STUBBORN.format(error="DriverError('the engine is away')"))
    words = [sys.executable, "-m", "hsup", "start", "-d", "unable"]
    ended = subprocess.run(words, cwd=directory, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1] == "hsup: the engine is away"


@pytest.mark.parametrize(
    ("follows", "words", "started"),
    [
        (True, [], ["web.1", "web.2"]),
        (False, [], ["web.1"]),
        (True, ["--quantities", "one"], ["web.1"]),
        (True, ["web=3"], ["web.1", "web.2", "web.3"]),
    ],
    ids=str,
)
def test_a_source_that_knows_the_formation_is_followed_unless_the_user_says_otherwise(
    install: Installer, follows: bool, words: list[str], started: list[str]
) -> None:
    install("hsup-followed", FOLLOWED.format(follows=follows))
    ended = call("start", "--source", "followed", "-d", "ending", "--oneshot", *words)
    told = [line for line in ended.stderr.splitlines() if line.startswith("started ")]
    assert sorted(told) == [f"started {name}" for name in started]
    assert ended.exit_code == 3
