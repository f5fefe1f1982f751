"""The options that every command takes, before or after its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hsup.cli.options import (
    DEFAULT_DRIVER,
    DEFAULT_GRACE_SECONDS,
    DEFAULT_LOG_FORMAT,
    LOG_FORMATS,
)


class _Shared(click.Option):
    """An option of every command, of which only the outermost one reads the variable.

    So a variable never outweighs an option, wherever that stands.
    """

    def __init__(self, *names: str, variable: str, help: str, **rest: Any) -> None:  # noqa: A002
        super().__init__(names, envvar=variable, help=f"{help}  [{variable}]", **rest)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return super().resolve_envvar_value(ctx) if ctx.parent is None else None


#: The same objects for all commands: to make them takes click longer than to parse.
SHARED_OPTIONS = (
    _Shared("-a", "--app", variable="HSUP_APP", metavar="NAME", help="The application's name."),
    _Shared(
        "-d",
        "--driver",
        "--dynodriver",
        "driver",
        variable="HSUP_DRIVER",
        metavar="NAME",
        help=f"The dyno driver.  [default: {DEFAULT_DRIVER}]",
    ),
    _Shared(
        "--source",
        variable="HSUP_SOURCE",
        metavar="NAME",
        help="The source of releases.  [default: heroku if HEROKU_ACCESS_TOKEN is set, "
        "directory if HSUP_CONTROL_DIR is, procfile if ./Procfile is there]",
    ),
    _Shared(
        "--oneshot/--no-oneshot",
        variable="HSUP_ONESHOT",
        default=None,
        help="Start nothing again; end with the highest exit status, 255 for a dyno "
        "that could not be started.",
    ),
    _Shared(
        "--start-number",
        variable="HSUP_START_NUMBER",
        type=click.IntRange(min=1),
        metavar="N",
        help="The number of a type's first dyno.  [default: 1]",
    ),
    _Shared(
        "-s",
        "--control-socket",
        variable="HSUP_CONTROL_SOCKET",
        type=click.Path(),
        metavar="PATH",
        help="Serve the control API.",
    ),
    _Shared(
        "--logplex-url",
        variable="HSUP_LOGPLEX_URL",
        metavar="URL",
        help="Send the dynos' log lines there too.",
    ),
    _Shared(
        "--bind",
        "binds",
        variable="HSUP_BIND",
        multiple=True,
        metavar="HOST[:DYNO][:ro]",
        help="A path of this machine that dynos see, :ro for reading only; may be given again.",
    ),
    _Shared(
        "--size",
        variable="HSUP_SIZE",
        metavar="SIZE",
        help="The size of dynos that are given none, standard-2x for example; "
        "for drivers with containers.  [default: the driver's]",
    ),
    _Shared(
        "--dyno-metadata/--no-dyno-metadata",
        variable="HSUP_DYNO_METADATA",
        default=None,
        help="Give dynos the platform's variables: HEROKU_APP_NAME, HEROKU_DYNO_ID, "
        "HEROKU_RELEASE_VERSION, and what else the source knows.",
    ),
    _Shared(
        "--grace",
        "grace",
        variable="HSUP_GRACE",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help=f"What a dyno gets between SIGTERM and SIGKILL.  [default: {DEFAULT_GRACE_SECONDS:g}]",
    ),
    _Shared(
        "--log-format",
        variable="HSUP_LOG_FORMAT",
        type=click.Choice(LOG_FORMATS),
        help=f"How log lines are printed.  [default: {DEFAULT_LOG_FORMAT}]",
    ),
    _Shared(
        "-v",
        "--verbose/--no-verbose",
        variable="HSUP_VERBOSE",
        default=None,
        help="Say what hsup does, on standard error.",
    ),
)


class SharingCommand(click.Command):
    """A command that takes the shared options, listed behind its own ones."""

    def __init__(
        self, name: str | None, *, params: Sequence[click.Parameter] | None = None, **rest: Any
    ) -> None:
        super().__init__(name, params=[*(params or ()), *SHARED_OPTIONS], **rest)
