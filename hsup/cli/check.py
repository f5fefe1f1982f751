"""`hsup check`: validate a release before it is used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from hsup.api import Checked
from hsup.cli.components import Components
from hsup.cli.options import Options
from hsup.cli.shared import SharingCommand
from hsup.errors import UsageError
from hsup.plugins.guards import PluginFailed
from hsup.visible import tell


@click.command(
    "check",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup check                    what `hsup start` would read
  hsup check Procfile
  hsup check /etc/hsup/new      a control file""",
)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def command(outer: Options, /, path: Path | None, **given: Any) -> None:
    """Validate a control file or a Procfile, and print every fault and where it is.

    Exits with status 1 if there is a fault; a warning is not a fault.
    """
    checked = _check(Components(outer.refined(given)), path)
    for fault in checked.faults:
        severity = "warning" if fault.is_warning else "fault"
        tell(f"{fault.file or checked.what}: {severity}: {fault._replace(file='')}")
    faults = sum(not fault.is_warning for fault in checked.faults)
    if faults:
        sys.exit(1)
    tell(f"{checked.what}: ok")


def _check(parts: Components, path: Path | None) -> Checked:
    if path is not None and not path.exists():
        raise UsageError(f"cannot check {path}: the file does not exist")
    chosen = parts.options.source or (parts.source_name() if path is None else None)
    names = [chosen] if chosen else parts.source_names()
    for name in names:
        try:
            checked = parts.source_factory(name).check(path, parts.settings)
        except PluginFailed as error:
            if len(names) == 1:
                raise
            parts.calls.warn(str(error))
            continue
        if checked is not None:
            return checked
    raise _unchecked(path, chosen)


def _unchecked(path: Path | None, source: str | None) -> UsageError:
    if path is None:
        return UsageError(
            f'source "{source}" has nothing to check', hint="name a file or a directory"
        )
    is_directory = path.is_dir()
    text = f"{'directories' if is_directory else 'files'} like {path}"
    text = f'source "{source}" does not check {text}' if source else f"no source checks {text}"
    hint = "check a control file, a Procfile, or a directory with a Procfile"
    if not is_directory and (path.parent / "Procfile").is_file():
        hint = f"check its directory instead: hsup check {path.parent}"
    return UsageError(text, hint=hint)
