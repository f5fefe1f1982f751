"""`hsup check`: validate a release before it is used."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from hsup.api import Checked, Origin, SizesDynos
from hsup.cli.components import Components
from hsup.cli.config import variables
from hsup.cli.options import Options
from hsup.cli.shared import CheckedOption, SharingCommand, alternatives
from hsup.cli.start_options import by_variables
from hsup.cli.starting import requested
from hsup.cli.supervising import planned
from hsup.errors import DriverError, InvalidRelease, UsageError
from hsup.model import Fault, Release
from hsup.numerals import are_digits
from hsup.plugins.guards import PluginFailed
from hsup.supervision.exec_limits import excesses
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.ports import Ports
from hsup.supervision.specs import SpecMaker
from hsup.visible import tell

_FORMATS = ("text", "github")
_UNKNOWN = Origin()


@click.command(
    "check",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup check                    what `hsup start` would read
  hsup check Procfile
  hsup check /etc/hsup/new      a control file
  hsup check -f Procfile.dev -e dev.env
  hsup check --strict --format github    in a workflow of GitHub Actions""",
)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Treat warnings as faults.")
@click.option(
    "--format",
    "form",
    cls=CheckedOption,
    type=click.Choice(_FORMATS),
    expected=alternatives(_FORMATS),
    default="text",
    show_default=True,
    help="How faults are printed. github: as annotations of a workflow of GitHub Actions.",
)
@click.pass_obj
def command(outer: Options, /, path: Path | None, *, strict: bool, form: str, **given: Any) -> None:
    """Check a control file or a Procfile.

    Prints every fault and where it is. Exits with status 1 if there is a fault. Warnings do not
    count, unless --strict is given.
    """
    of_start = by_variables(click.get_current_context())
    parts = Components(outer.refined({**of_start, **given}, of_start))
    source, checked = _check(parts, path)
    faults = [*checked.faults, *_refusals(checked, source, parts)]
    for fault in faults:
        file = fault.file or checked.what
        if form == "github":
            tell(_annotation(fault, _in_repository(file, parts.settings.directory)))
        else:
            tell(_line(fault, file))
    if any(strict or not fault.is_warning for fault in faults):
        sys.exit(1)
    if form == "text":
        tell(f"{checked.what}: ok")


def _refusals(checked: Checked, source: str, parts: Components) -> Iterator[Fault]:
    """Yield the reasons for which `start` would not run a release, whatever its source.

    Raises UsageError where the options are at fault.
    """
    request = requested(parts.options)
    driver = parts.driver()
    plan, release = planned(request, parts, driver, source), checked.release
    yield from _drain_faults(parts, release)
    if release is None:
        return
    yield from _port_faults(release, plan, checked.config_origins)
    commands = (process.command for process in release.processes)
    for problem, variable in excesses(release, commands, has_metadata=plan.has_metadata):
        yield _fault(problem, checked.config_origins.get(variable or ""))
    if isinstance(driver, SizesDynos):  # others take no notice of sizes
        started = (one for one in release.processes if plan.asked.quantity(one))
        sizes = {one.name: plan.asked.size_of(one) for one in started}
        yield from _size_faults(driver, sizes, checked.size_origins)


def _drain_faults(parts: Components, release: Release | None) -> Iterator[Fault]:
    """Yield why `start` would not use log drains of a release. Raises UsageError for the user's."""
    if not parts.has_drains(release):
        return
    from hsup.cli.drain_check import problems  # only where there are drains

    for problem in problems(parts, release):
        yield Fault(place="", problem=problem, is_warning=True)


def _port_faults(
    release: Release, plan: SupervisorOptions, origins: Mapping[str, Origin]
) -> Iterator[Fault]:
    """Yield what is wrong with the ports of a release. Raises UsageError for a dyno it has not."""
    specs = SpecMaker(plan, Ports(), _say_nothing)
    origin = None if isinstance(plan.port, int) else origins.get("PORT")
    try:
        specs.check(release, is_first=True)
        specs.specs(release)
    except InvalidRelease as error:
        yield from error.faults
    except DriverError as error:
        yield _fault(str(error), origin)
    else:
        if warning := specs.base_warning(release):
            yield _fault(warning, origin)._replace(is_warning=True)


def _say_nothing(_text: str) -> None:
    """Say nothing: what is wrong is returned as faults."""


def _fault(problem: str, origin: Origin | None) -> Fault:
    file, place = origin or _UNKNOWN
    return Fault(file=file, place=place, problem=problem)


def _size_faults(
    driver: SizesDynos, sizes: Mapping[str, str | None], origins: Mapping[str, Origin]
) -> Iterator[Fault]:
    """Yield the sizes of process types, None for the default, that a driver does not have."""
    for name, size in sizes.items():
        try:
            if size is not None:
                driver.check_size(size)
        except DriverError as error:
            yield _fault(str(error), origins.get(name))


def _line(fault: Fault, file: str) -> str:
    severity = "warning" if fault.is_warning else "fault"
    return f"{file}: {severity}: {fault._replace(file='')}"


def _annotation(fault: Fault, file: str) -> str:
    """Return a fault as a workflow command (GitHub's documentation, Workflow commands)."""
    severity = "warning" if fault.is_warning else "error"
    number, _, rest = fault.place.removeprefix("line ").partition(", ")
    has_line = fault.place.startswith("line ") and are_digits(number)
    line = f",line={number}" if has_line else ""
    text = str(fault._replace(file="", place=rest if has_line else fault.place))
    return f"::{severity} file={_escaped(file, ',:')}{line}::{_escaped(text)}"


def _in_repository(file: str, directory: str) -> str:
    """Return the path of a file from the root of its repository, as GitHub reads it.

    The file is named from the current directory, or else from the application's.
    """
    root = variables().get("GITHUB_WORKSPACE")
    paths = (file, os.path.join(directory, file))
    path = next(filter(os.path.exists, paths), None)
    if not root or path is None:
        return file
    parent, name = os.path.split(path)
    relative = os.path.relpath(os.path.join(os.path.realpath(parent), name), os.path.realpath(root))
    return file if relative.startswith("../") else relative


def _escaped(text: str, more: str = "") -> str:
    """Escape what ends a command or one of its properties: a percent sign and two digits."""
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else char for char in text)


def _check(parts: Components, path: Path | None) -> tuple[str, Checked]:
    """Return what a source has checked, and the name of that source."""
    if path is not None and not path.exists():
        raise UsageError(f"cannot check {path}: the file does not exist")
    chosen = parts.options.source or (parts.source_name() if path is None else None)
    names = [chosen] if chosen else parts.source_names()
    for name in names:
        try:
            with parts.options.naming_files():
                checked = parts.source_factory(name).check(path, parts.settings)
        except PluginFailed as error:
            if len(names) == 1:
                raise
            parts.calls.warn(str(error))
            continue
        if checked is not None:
            return name, checked
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
        hint = f"check its directory instead: hsup check {shlex.quote(str(path.parent))}"
    return UsageError(text, hint=hint)
