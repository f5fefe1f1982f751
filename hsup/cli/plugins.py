"""`hsup plugins`: list the installed plugins and their faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from hsup.cli.commands import COMMANDS
from hsup.cli.installed import plugin_manager
from hsup.cli.options import Options
from hsup.plugins.manager import Plugin
from hsup.table import table
from hsup.visible import tell, tell_json


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(outer: Options, /, *, as_json: bool) -> None:
    """List the plugins.

    Prints the name, distribution, version and hooks of each, and load errors. Plugins
    are packages with an entry point in the group "hsup" that are installed where hsup
    is, for example hsup-driver-docker.
    """
    del outer
    manager = plugin_manager()
    registered: dict[str, Mapping[str, object]] = {
        "drivers": manager.drivers,
        "sources": manager.sources,
        "log sinks": manager.log_sinks,
        "services": manager.services,
        "commands": manager.commands(COMMANDS),
    }
    names = {kind: sorted(parts) for kind, parts in registered.items()}
    if as_json:
        listing: dict[str, Any] = {"plugins": [_fields(one) for one in manager.plugins]}
        tell_json({**listing, **names, "faults": manager.faults()})
        return
    for line in table([("NAME", "DISTRIBUTION", "VERSION", "HOOKS"), *map(_row, manager.plugins)]):
        tell(line)
    for kind, parts in names.items():
        if parts:
            tell(f"{kind}: {', '.join(parts)}")
    for fault in manager.faults():
        tell(f"fault: {fault}")


def _fields(plugin: Plugin) -> dict[str, Any]:
    point = plugin.entry_point
    return {
        "name": point.name,
        "distribution": point.distribution,
        "version": point.version,
        "hooks": plugin.hooks,
        "error": plugin.fault,
    }


def _row(plugin: Plugin) -> tuple[str, str, str, str]:
    point = plugin.entry_point
    hooks = ", ".join(plugin.hooks) if not plugin.fault else "not loaded"
    return point.name, point.distribution, point.version, hooks
