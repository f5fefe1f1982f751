"""Drivers that tell what they were asked for, or what they found."""

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

#: A plugin with a kind of log drain, `kept`, that tells what it is asked to do in a file, and
#: refuses a parameter that it does not know.
DRAINED = """
from pathlib import Path
from hsup import hookimpl
from hsup.log_drain import DrainLimits

class Kept:
    limits = DrainLimits()

    def __init__(self, destination):
        _, rest = destination.url.take("colour")
        rest.require_nothing_else("colour")
        self._tell("created")

    async def deliver(self, block):
        for one in block.batches:
            self._tell(f"{one.source}[{one.dyno}] {one.lines.decode().strip()}")

    async def close(self):
        self._tell("closed")

    def _tell(self, text):
        with open("told", "a") as file:
            file.write(text + "\\n")

@hookimpl
def hsup_register_log_drains():
    return {"kept": Kept}
"""
