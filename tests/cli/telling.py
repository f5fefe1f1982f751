"""Drivers that tell what they were asked for."""

from __future__ import annotations

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
