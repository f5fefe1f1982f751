"""The options that every command takes, before or after its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.types import StringParamType

from hsup.api import Settings
from hsup.config import read_settings
from hsup.errors import UsageError
from hsup.model import Bind
from hsup.visible import tell

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DEFAULT_DRIVER = "simple"
#: What the platform gives a dyno between SIGTERM and SIGKILL.
DEFAULT_GRACE_SECONDS = 30.0
DEFAULT_LOG_FORMAT = "heroku"
_READ_ONLY = ":ro"
LOG_FORMATS = ("heroku", "plain", "json", "raw")


class _FilePath(StringParamType):
    """What click.Path is, but for looking up how `path` is translated, which imports locale."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        del ctx, param
        return [CompletionItem(incomplete, type="file")]


class _Shared(click.Option):
    """An option of every command, of which only the outermost one reads the variable.

    So a variable never outweighs an option, wherever that stands.
    """

    def __init__(self, *names: str, variable: str, help: str, **rest: Any) -> None:  # noqa: A002
        super().__init__(names, envvar=variable, help=f"{help}  [{variable}]", **rest)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return super().resolve_envvar_value(ctx) if ctx.parent is None else None


def showing(*names: str, text: Callable[[click.Context], str], help: str) -> click.Option:  # noqa: A002
    """Return an option that shows a text, and exits.

    click's own for help and version look up how they are translated, each time they are made.
    """

    def show(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001
        if is_asked and not ctx.resilient_parsing:
            for line in text(ctx).splitlines():
                tell(line)
            ctx.exit()

    flags: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False}
    return click.Option(names, **flags, callback=show, help=help)


_HELP = showing("-h", "--help", text=click.Context.get_help, help="Show this message and exit.")

#: The same objects for all commands: to make them takes click longer than to parse.
_SHARED = (
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
        type=_FilePath(),
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
        super().__init__(name, params=[*(params or ()), *_SHARED], **rest)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option that is behind all others."""
        del ctx
        return _HELP


class Options:
    """What the shared options were set to, before and after the command."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)

    def refined(self, given: Mapping[str, Any]) -> Options:
        """Return these with what stands after the command, which counts more."""
        after = {name: value for name, value in given.items() if value not in (None, ())}
        binds = (*(self._given.get("binds") or ()), *(after.get("binds") or ()))
        return Options({**self._given, **after, "binds": binds})

    @property
    def driver(self) -> str:
        """Return the name of the driver."""
        return self.chosen_driver or DEFAULT_DRIVER

    @property
    def chosen_driver(self) -> str | None:
        """Return the name of the driver that was asked for, None for the default."""
        return self._given.get("driver") or None

    @property
    def source(self) -> str | None:
        """Return the name of the source, None to find one that applies."""
        return self._given.get("source")

    @property
    def one_shot(self) -> bool:
        """Tell whether dynos are started only once."""
        return bool(self._given.get("oneshot"))

    @property
    def start_number(self) -> int | None:
        """Return the number of a type's first dyno, None if it was not set."""
        return self._given.get("start_number")

    @property
    def grace_seconds(self) -> float:
        """Return what a dyno gets between SIGTERM and SIGKILL. Raises UsageError."""
        given = self._given.get("grace")
        if given is not None and not 0 <= given < float("inf"):
            raise UsageError(f"--grace must be a number of seconds, got {given}")
        return DEFAULT_GRACE_SECONDS if given is None else float(given)

    @property
    def log_format(self) -> str:
        """Return how log lines are printed."""
        return self._given.get("log_format") or DEFAULT_LOG_FORMAT

    @property
    def is_verbose(self) -> bool:
        """Tell whether to say more."""
        return bool(self._given.get("verbose"))

    @property
    def size(self) -> str | None:
        """Return the size of dynos that are given none, None for the driver's default."""
        return self._given.get("size") or None

    @property
    def has_metadata(self) -> bool:
        """Tell whether dynos get the platform's variables."""
        return bool(self._given.get("dyno_metadata"))

    @property
    def binds(self) -> tuple[Bind, ...]:
        """Return the paths that dynos see. Raises UsageError."""
        return tuple(_parse_bind(text) for text in self._given.get("binds") or ())

    def settings(self) -> Settings:
        """Return what plugins get."""
        return read_settings(
            app=self._given.get("app"),
            control_socket=self._given.get("control_socket"),
            logplex_url=self._given.get("logplex_url"),
        )


#: What no bind can replace without taking the dyno apart, and what nothing can be made in.
_OWN_PLACES = ("/", "/dev", "/dev/pts")
_OWN_TREES = ("/proc", "/sys")


def _parse_bind(text: str) -> Bind:
    from pathlib import Path

    paths = text.removesuffix(_READ_ONLY)
    host, _, dyno = paths.partition(":")
    place = "/" + os.path.normpath(dyno or host).lstrip("/")
    bind = Bind(host=Path(host), dyno=Path(place), read_only=paths != text)
    if ":" in dyno:
        raise UsageError(f'cannot bind "{text}": it must be HOST[:DYNO][:ro]')
    if not (bind.host.is_absolute() and (dyno or host).startswith("/")):
        raise UsageError(f'cannot bind "{text}": both paths must begin with /')
    if place in _OWN_PLACES or f"/{place.split('/')[1]}" in _OWN_TREES:
        raise UsageError(f'cannot bind "{text}": {bind.dyno} is the dyno\'s own')
    if not bind.host.exists():
        raise UsageError(f'cannot bind "{text}": {bind.host} does not exist')
    return bind
