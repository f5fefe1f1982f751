"""`hsup export`: have another supervisor run the dynos."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from typing import Any

import click

from hsup import launch
from hsup.cli.components import Components
from hsup.cli.options import Options
from hsup.cli.quantities import scale_request
from hsup.cli.shared import SharingCommand
from hsup.errors import HsupError, UsageError
from hsup.exports import compose, launchd, supervisord, systemd
from hsup.exports.program import Export, Exported, Program
from hsup.model import RELEASE_TYPE, DynoName, DynoSpec
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.ports import AUTO, Ports
from hsup.supervision.specs import SpecMaker
from hsup.visible import warn

#: Each is given the application, and the directory that the files will be in.
_FORMATS: dict[str, Callable[[Exported, str], Export]] = {
    "systemd": lambda application, _: systemd.export(application),
    "supervisord": supervisord.export,
    "launchd": lambda application, _: launchd.export(application),
    "docker-compose": lambda application, _: compose.export(application),
}


_PRIVATE = 0o600


@click.command(
    "export",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup export systemd                          print the units
  hsup export systemd /tmp/units -m all=1,web=2
  hsup export supervisord /etc/supervisor/shop --user shop
  hsup export docker-compose .                 writes compose.yaml""",
)
@click.argument("form", metavar="FORMAT", type=click.Choice(tuple(_FORMATS)))
@click.argument("directory", metavar="[DIRECTORY]", required=False, type=click.Path())
@click.option(
    "--user", metavar="NAME", help="Who runs the dynos.  [default: who owns the application]"
)
@click.pass_obj
def command(
    outer: Options, /, form: str, directory: str | None, *, user: str | None, **given: Any
) -> None:
    """Write the configuration with which another supervisor runs the dynos.

    FORMAT is systemd, supervisord, launchd or docker-compose. Without DIRECTORY, the files are
    printed. They contain the config vars, so that only you can read what is written.
    """
    options = outer.refined(given)
    made = _FORMATS[form](_exported(options, user), os.path.abspath(directory or "."))
    if directory is None:
        _print(made)
    else:
        _write(made, directory)
    for remark in made.remarks:
        warn(remark)


def _exported(options: Options, user: str | None) -> Exported:
    """Return what is to be exported. Raises HsupError."""
    parts = Components(options)
    release = parts.current_release()
    place = (
        release.slug.location if release.slug and release.slug.inode else parts.settings.directory
    )
    maker = _spec_maker(options)
    maker.check(release, is_first=True)
    phase = maker.release_phase(release)
    return Exported(
        app=release.app,
        directory=place,
        user=user or _owner(place),
        dynos=tuple(_program(spec) for spec in maker.specs(release).values()),
        release_phase=phase and _program(phase),
        grace_seconds=options.grace_seconds,
        stack=release.stack,
    )


def _spec_maker(options: Options) -> SpecMaker:
    if options.port == AUTO:
        raise UsageError(f"-p {AUTO} cannot be exported: ports are free now, and not later")
    plan = SupervisorOptions(
        source_name="",
        driver_name="",
        asked=scale_request(options),
        has_metadata=options.has_metadata,
        port=options.port,
    )
    return SpecMaker(plan, Ports(), warn)


def _program(spec: DynoSpec) -> Program:
    """Return a dyno as a program; a release phase has the number 1, and serves nothing."""
    if spec.name.type == RELEASE_TYPE:
        spec = spec._replace(name=DynoName(RELEASE_TYPE, 1), port=None)
    return Program(name=spec.name, command=spec.command, environment=launch.environment(spec))


def _owner(directory: str) -> str:
    uid = os.stat(directory).st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a uid without an account
        return str(uid)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def _print(made: Export) -> None:
    for name, text in made.files.items():
        sys.stdout.write(f"# {name}\n{text}\n")


def _write(made: Export, directory: str) -> None:
    try:
        os.makedirs(directory, exist_ok=True)
        for name, text in made.files.items():
            path = os.path.join(directory, name)
            with open(path, "w", encoding="utf-8", opener=_privately) as file:
                os.fchmod(file.fileno(), _PRIVATE)  # there may have been one
                file.write(text)
            warn(f"wrote {path}")
    except OSError as error:
        raise HsupError(f"cannot write {error.filename or directory}: {error.strerror}") from error
