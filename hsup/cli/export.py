"""`hsup export`: have another supervisor run the dynos."""

from __future__ import annotations

import os
import pwd
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from hsup import launch
from hsup.cli import completing
from hsup.cli.components import Components
from hsup.cli.options import Options
from hsup.cli.quantities import asked_by
from hsup.cli.shared import SharingCommand, by_variable
from hsup.cli.start_options import quantities_option
from hsup.directories import is_trusted
from hsup.errors import HsupError, UsageError
from hsup.exports import compose, launchd, supervisord, systemd
from hsup.exports.leftovers import has_mark, leftovers
from hsup.exports.program import Export, Exported, Program
from hsup.model import RELEASE_TYPE, DynoName, DynoSpec
from hsup.numerals import whole_number
from hsup.supervision.formation import ScaleRequest
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.ports import AUTO, Ports
from hsup.supervision.specs import SpecMaker
from hsup.visible import tell, warn

#: Each is given the application, and the directory that the files will be in.
_FORMATS: dict[str, Callable[[Exported, str], Export]] = {
    "systemd": systemd.export,
    "supervisord": supervisord.export,
    "launchd": launchd.export,
    "docker-compose": compose.export,
}
#: They run dynos as a number that no account has; the others would fail.
_TAKING_NUMBERS = {"docker-compose"}
#: The one above it stands for no user (man 2 chown).
_HIGHEST_UID = 2**32 - 2
#: The name or the number of a user that all other supervisors take.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?")
#: The dynos run without hsup then.
_DRAINS_STAY = (
    "warning: log drains are not exported: what the dynos write goes where the other supervisor "
    "has it go; hsup start delivers it, also as a service"
)
#: What is no name of a directory: one may be called `./web=2`.
_TYPE = re.compile(r"[^/=]*=")


@click.command(
    "export",
    cls=SharingCommand,
    params=[quantities_option("export")],
    epilog="""\b
Examples:
  hsup export systemd                          print the units
  hsup export systemd web=2 worker             two of web, one of worker
  hsup export systemd /etc/shop -m all=1,web=2
  hsup export supervisord /etc/supervisor/shop --user shop
  hsup export docker-compose .                 writes compose.yaml""",
)
@click.argument("form", metavar="FORMAT", type=click.Choice(tuple(_FORMATS)))
@click.argument("directory", metavar="[DIRECTORY]", required=False, type=click.Path())
@click.argument(
    "types", metavar="[TYPE[=N]]...", nargs=-1, shell_complete=completing.types_and_sizes
)
@click.option(
    "--user",
    metavar="NAME",
    help="User to run the dynos as.  [default: the owner of the application's directory]",
)
@click.option(
    "--force", is_flag=True, help="Overwrite files that are not from an export of this application."
)
@click.pass_obj
def command(
    outer: Options,
    /,
    form: str,
    directory: str | None,
    types: tuple[str, ...],
    *,
    user: str | None,
    force: bool,
    **given: Any,
) -> None:
    """Write configurations for another supervisor.

    FORMAT is systemd, supervisord, launchd or docker-compose. Without DIRECTORY, the files are
    printed; a first word such as web=2 is a TYPE. As they contain the config vars, nobody else can
    read what is written.
    """
    if directory is not None and _TYPE.match(directory):
        types, directory = (directory, *types), None
    options = outer.refined(given, by_variable(click.get_current_context()))
    options, asked = asked_by(options, types)
    may_follow = asked.quantities is None and options.quantities is None
    application = _exported(options, asked, user, may_follow=may_follow)
    if application.ids is None and not (form in _TAKING_NUMBERS and application.user.isdigit()):
        warn(f'warning: this machine has no user "{application.user}" to run the dynos as')
    made = _FORMATS[form](application, os.path.abspath(directory or "."))
    if directory is None:
        _print(made)
        usage = f"printed only; name a directory to write them: hsup export {form} DIRECTORY"
    else:
        mark = application.mark(form)
        _require_own(made, directory, mark, force=force)
        _write(made, directory, _uid(application))
        _remove_leftovers(made, directory, mark)
        usage = made.usage
    for remark in (usage, *made.remarks):
        warn(remark)


def _exported(
    options: Options, asked: ScaleRequest, user: str | None, *, may_follow: bool
) -> Exported:
    """Return what is to be exported. Raises HsupError.

    If `may_follow` is set, the source may say how many dynos there are.
    """
    parts = Components(options)
    release = parts.current_release()
    if may_follow and parts.source_factory(parts.source_name()).follows_formation:
        asked = asked._replace(follows_release=True)
    slug = release.slug if release.slug and release.slug.inode is not None else None
    if slug is None and not parts.settings.has_root:
        text = "cannot export a release whose code is not in a directory of a Procfile"
        raise UsageError(text, hint="name the directory of its code with --root")
    place = slug.location if slug else parts.settings.directory
    runs_as, account = _user(user or str(_owner(place)))
    maker = _spec_maker(options, asked)
    maker.check(release, is_first=True)
    phase = maker.release_phase(release)
    dynos = tuple(_program(spec) for spec in maker.specs(release).values())
    if not dynos:
        text = "there is nothing to export: the formation has no dynos"
        raise UsageError(text, hint="ask for some, as in -m all=1")
    maker.tell_of_quantities(release, "export")
    if parts.has_drains(release):
        warn(_DRAINS_STAY)
    return Exported(
        app=release.app,
        directory=place,
        user=runs_as,
        ids=(account.pw_uid, account.pw_gid) if account else None,
        dynos=dynos,
        release_phase=phase and _program(phase),
        grace_seconds=options.grace_seconds,
        stack=release.stack,
    )


def _user(asked: str) -> tuple[str, pwd.struct_passwd | None]:
    """Return the user that was asked for, as other supervisors take it. Raises UsageError."""
    account = _account(asked)
    runs_as = account.pw_name if account and _USER.fullmatch(account.pw_name) else asked
    if not _USER.fullmatch(runs_as):
        text = f'"{runs_as}" is not the name of a user for another supervisor'
        raise UsageError(text, hint="choose another user, or its number, with --user")
    return runs_as, account


def _spec_maker(options: Options, asked: ScaleRequest) -> SpecMaker:
    if options.port == AUTO:
        text = f"-p {AUTO} cannot be exported: a port that is free now may be taken later"
        raise UsageError(text, hint="choose a base: -p 7000")
    plan = SupervisorOptions(
        source_name="",
        driver_name="",
        asked=asked,
        has_metadata=options.has_metadata,
        port=options.port,
    )
    return SpecMaker(plan, Ports(), warn)


def _program(spec: DynoSpec) -> Program:
    """Return a dyno as a program; a release phase has the number 1, and serves nothing."""
    if spec.name.type == RELEASE_TYPE:
        spec = spec._replace(name=DynoName(RELEASE_TYPE, 1), port=None)
    return Program(name=spec.name, command=spec.command, environment=launch.environment(spec))


def _owner(directory: str) -> int:
    try:
        return os.stat(directory).st_uid
    except OSError as error:
        raise HsupError(f"cannot read {directory}: {error.strerror}") from error


def _account(user: str) -> pwd.struct_passwd | None:
    """Return the account with a name or a number, None if this machine has none.

    A number that is also a name is that user's, as for chown (POSIX).
    """
    with suppress(KeyError):
        return pwd.getpwnam(user)
    uid = whole_number(user)
    with suppress(KeyError):
        return None if uid is None else pwd.getpwuid(uid)
    return None


def _uid(application: Exported) -> int | None:
    """Return the uid of the dynos' user, who may have only that; None for an unknown name."""
    uid = application.ids[0] if application.ids else whole_number(application.user)
    return uid if uid is not None and uid <= _HIGHEST_UID else None


def _print(made: Export) -> None:
    """Print the files; on a terminal with control characters made visible."""
    for name, text in made.files.items():
        if sys.stdout.isatty():
            for line in (f"# {name}", *text.splitlines(), ""):
                tell(line)
        else:
            printed = f"# {name}\n{text}\n".encode(errors="surrogateescape")
            sys.stdout.buffer.write(printed)


def _require_own(made: Export, directory: str, mark: str, *, force: bool) -> None:
    """Raise HsupError for a file that is there and not from an export of this application."""
    if force:
        return
    hint = "overwrite it with --force, or choose another directory"
    paths = (os.path.join(directory, name) for name in made.files)
    for path in filter(os.path.lexists, paths):
        try:
            is_own = has_mark(path, mark)
        except PermissionError as error:
            text = f"cannot read {path}, which is there already: {error.strerror}"
            raise HsupError(text, hint=hint) from error
        if not is_own:
            text = f"{path} is there already, and not from hsup export of this application"
            raise HsupError(text, hint=hint)


def _write(made: Export, directory: str, uid: int | None) -> None:
    """Write the files for root alone, or for the user of the dynos. Raises HsupError.

    Each is made under another name first, and then renamed: nothing is written through a link, or
    into a file that somebody else has put there.
    """
    try:
        os.makedirs(directory, exist_ok=True)
        if not is_trusted(directory):
            text = f"cannot write to {directory}: others than you and root may write there, too"
            raise HsupError(text, hint="choose another directory")
        for name, text in made.files.items():
            path = os.path.join(directory, name)
            reader = uid if name in made.for_user and os.geteuid() == 0 else None
            _replace(path, text, reader)
            warn(f"wrote {path}")
    except OSError as error:
        raise HsupError(f"cannot write {error.filename or directory}: {error.strerror}") from error


def _remove_leftovers(made: Export, directory: str, mark: str) -> None:
    """Remove what the last export wrote and this one did not; it has secrets. Raises HsupError."""
    try:
        removed = [*leftovers(directory, made.files, mark)]
        for path in removed:
            os.unlink(path)
            warn(f"removed {path}, which is no longer part of the export")
    except OSError as error:
        raise HsupError(f"cannot remove {error.filename}: {error.strerror}") from error
    if removed:
        warn("stop the dynos of the removed files, if they run")


def _replace(path: str, text: str, uid: int | None) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".hsup-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode(errors="surrogateescape"))
            if uid is not None:
                os.fchown(file.fileno(), uid, -1)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
