"""The options that every command takes, before or after its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from hsup.cli.defaults import (
    DEFAULT_DRIVER,
    DEFAULT_GRACE_SECONDS,
    DEFAULT_LOG_FORMAT,
    LOG_FORMATS,
    PORTS,
    SCREEN_FORMAT,
    SECONDS,
)
from hsup.errors import UsageError
from hsup.numerals import port_number
from hsup.supervision.ports import AUTO, Base

if TYPE_CHECKING:
    from click.types import OptionHelpExtra

ON_OR_OFF = "1 or 0"


def alternatives(words: Sequence[str]) -> str:
    """Return the words that an option takes, as a message lists them."""
    *others, last = (f'"{word}"' for word in words)
    return f"{', '.join(others)} or {last}"


#: Where a context keeps what the file is called that a value is from.
CALLED = "hsup.called"


def called(ctx: click.Context, parameter: click.Parameter) -> str:
    """Return how the value of a parameter was given: `--grace`, `HSUP_GRACE`, or by a file."""
    if place := ctx.meta.get(CALLED):
        return str(place)
    if ctx.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT:
        return str(parameter.envvar)
    return next(one for one in parameter.opts if one.startswith("--"))


def by_variable(ctx: click.Context) -> list[str]:
    """Return the parameters of a command whose values are those of their variables."""
    from_environment = ParameterSource.ENVIRONMENT
    return [name for name in ctx.params if ctx.get_parameter_source(name) is from_environment]


class CheckedOption(click.Option):
    """An option that is refused a wrong value in hsup's words; `expected` is what it takes."""

    def __init__(self, *given: Any, expected: str | None = None, **rest: Any) -> None:
        super().__init__(*given, **rest)
        self._expected = expected

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return what is added to the help, without a range such as `x>=1`: `expected` says it."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Return a value as its type. Raises UsageError."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter:
            if self._expected is None:
                raise
            name = called(ctx, self)
            raise UsageError(f'{name} must be {self._expected}, got "{value}"') from None


#: Completes what was typed of the value of an option.
Completion = Callable[[click.Context, click.Parameter, str], list[str] | list[CompletionItem]]


class Installed:
    """What is known of installed plugins; `hsup.cli.commands` fills it in, which is above this.

    `names` complete the values of options, by the names of their parameters; `has_containers` tells
    whether a driver, given by its name or None, can do what only containers can.
    """

    names: Mapping[str, Completion] = MappingProxyType({})
    has_containers: Callable[[str | None], bool] = staticmethod(bool)


INSTALLED = Installed()


class CompletedOption(CheckedOption):
    """An option whose value is completed by what is installed, or by the application."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what the value may be."""
        complete = INSTALLED.names.get(self.name or "")
        if complete is None:
            return super().shell_complete(ctx, incomplete)
        found = complete(ctx, self, incomplete)
        return [CompletionItem(one) if isinstance(one, str) else one for one in found]


def _port(text: str) -> Base:
    """Return the base of the dynos' ports: a number, or AUTO. Raises ValueError."""
    if text == AUTO:
        return AUTO
    number = port_number(text)
    if number is None:
        raise ValueError(text)
    return number


class _Shared(CompletedOption):
    """An option of every command; only the outermost command reads its environment variable.

    So an option takes precedence over its variable, before and after the command.
    """

    def __init__(
        self,
        *names: str,
        variable: str,
        help: str,  # noqa: A002
        has_commas: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(names, envvar=variable, help=f"{help}  [{variable}]", **rest)
        self._has_commas = has_commas

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Return the value of the variable; one with commas is split later, at these alone."""
        if not self._has_commas:
            return super().value_from_envvar(ctx)
        value = self.resolve_envvar_value(ctx)
        return None if value is None else (value,)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return super().resolve_envvar_value(ctx) if ctx.parent is None else None


#: The same objects for all commands: click takes longer to make them than to parse.
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
        "directory if HSUP_CONTROL_DIR is set, procfile if a Procfile is here or above]",
    ),
    _Shared(
        "-f",
        "--procfile",
        variable="HSUP_PROCFILE",
        metavar="FILE",
        type=click.Path(),
        help="Read this Procfile, for example Procfile.dev.  [default: the Procfile here, or in "
        "the nearest directory above]",
    ),
    _Shared(
        "-e",
        "--env-file",
        "--env",
        "env_files",
        variable="HSUP_ENV_FILE",
        has_commas=True,
        multiple=True,
        metavar="FILE[,FILE]...",
        type=click.Path(),
        help="Read config vars from this file; can be repeated, before and after the command: "
        "later files take precedence.  "
        "[default: the .env beside the Procfile]",
    ),
    _Shared(
        "--expand-env/--no-expand-env",
        variable="HSUP_EXPAND_ENV",
        default=None,
        expected=ON_OR_OFF,
        help="Replace references such as ${NAME} in env files.",
    ),
    _Shared(
        "--clean-env/--no-clean-env",
        variable="HSUP_CLEAN_ENV",
        default=None,
        expected=ON_OR_OFF,
        help="Do not pass the caller's environment on to dynos that run in the Procfile's "
        "directory; others never get it.",
    ),
    _Shared(
        "--pass-env",
        "pass_env",
        variable="HSUP_PASS_ENV",
        has_commas=True,
        multiple=True,
        metavar="NAME[,NAME]...",
        help="Pass a variable of the caller on to dynos, or several: AWS_*; can be repeated.",
    ),
    _Shared(
        "--root",
        variable="HSUP_ROOT",
        metavar="DIRECTORY",
        type=click.Path(),
        help="The application's directory.  [default: the Procfile's]",
    ),
    _Shared(
        "-p",
        "--port",
        variable="HSUP_PORT",
        metavar="N|auto",
        type=_port,
        expected=PORTS,
        help="The PORT of the first dyno; each process type gets the next hundred ports. auto: "
        "the first of 5000, 5500, … from which all ports are free.  [default: the release's PORT, "
        "or 5000]",
    ),
    _Shared(
        "-m",
        "-c",
        "--formation",
        "--concurrency",
        "formation",
        variable="HSUP_FORMATION",
        has_commas=True,
        multiple=True,
        metavar="TYPE=N[,TYPE=N]...",
        help="How many dynos of each type to start, in the same form as after `start`; all=N "
        "is for every type that is not named; can be repeated.",
    ),
    _Shared(
        "--oneshot/--no-oneshot",
        variable="HSUP_ONESHOT",
        default=None,
        expected=ON_OR_OFF,
        help="Run each dyno once, without restarts; exit with the highest exit status "
        "(255 if a dyno could not be started).",
    ),
    _Shared(
        "--start-number",
        variable="HSUP_START_NUMBER",
        type=click.IntRange(min=1),
        expected="a whole number, 1 or more",
        metavar="N",
        help="The number of the first dyno of each type.  [default: 1]",
    ),
    _Shared(
        "-s",
        "--control-socket",
        variable="HSUP_CONTROL_SOCKET",
        type=click.Path(),
        metavar="PATH",
        help="Serve the control API (needs a plugin).",
    ),
    _Shared(
        "--logplex-url",
        variable="HSUP_LOGPLEX_URL",
        metavar="URL",
        help="Send the dynos' log lines to this URL, too (needs a plugin).",
    ),
    _Shared(
        "--drain",
        "drains",
        variable="HSUP_DRAIN",
        multiple=True,
        metavar="URL",
        help="Deliver log lines to this URL, too: https://…, syslog+tls://…, file:… (needs "
        "hsup-log-drain); can be repeated.",
    ),
    _Shared(
        "--follow-drains/--no-follow-drains",
        variable="HSUP_FOLLOW_DRAINS",
        default=None,
        expected=ON_OR_OFF,
        help="Deliver log lines to the application's own drains on Heroku, too (needs "
        "hsup-log-drain).",
    ),
    _Shared(
        "--bind",
        "binds",
        variable="HSUP_BIND",
        multiple=True,
        metavar="HOST[:DYNO][:ro]",
        help="Make a path of this machine visible in dynos (read-only with :ro); can be repeated.",
    ),
    _Shared(
        "--size",
        variable="HSUP_SIZE",
        metavar="SIZE",
        help="The size of dynos to which the release gives none, for example standard-2x; "
        "for drivers with containers.  [default: the driver's]",
    ),
    _Shared(
        "--dyno-metadata/--no-dyno-metadata",
        variable="HSUP_DYNO_METADATA",
        default=None,
        expected=ON_OR_OFF,
        help="Give dynos the platform's variables: HEROKU_APP_NAME, HEROKU_DYNO_ID, "
        "HEROKU_RELEASE_VERSION, and others that the source knows.",
    ),
    _Shared(
        "--grace",
        "grace",
        variable="HSUP_GRACE",
        type=click.FloatRange(min=0),
        expected=SECONDS,
        metavar="SECONDS",
        help="The grace period of dynos, between SIGTERM and SIGKILL.  "
        f"[default: {DEFAULT_GRACE_SECONDS:g}]",
    ),
    _Shared(
        "--log-format",
        variable="HSUP_LOG_FORMAT",
        type=click.Choice(LOG_FORMATS),
        expected=alternatives(LOG_FORMATS),
        help=f"The format of log lines.  [default: {SCREEN_FORMAT} on a "
        f"terminal, {DEFAULT_LOG_FORMAT} elsewhere]",
    ),
    _Shared(
        "-v",
        "--verbose/--no-verbose",
        variable="HSUP_VERBOSE",
        default=None,
        expected=ON_OR_OFF,
        help="Log what hsup does to standard error.",
    ),
)


#: What only drivers with containers can do.
_OF_CONTAINERS = ("binds", "size")

#: Where a context keeps the arguments of its command, which help looks at before they are parsed.
_ARGUMENTS = "hsup.arguments"
_DRIVER_OPTIONS = ("-d", "--driver", "--dynodriver")


class SharingCommand(click.Command):
    """A command that takes the shared options, listed after its own options."""

    def __init__(
        self, name: str | None, *, params: Sequence[click.Parameter] | None = None, **rest: Any
    ) -> None:
        super().__init__(name, params=[*(params or ()), *SHARED_OPTIONS], **rest)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments of the command."""
        ctx.meta[_ARGUMENTS] = (*ctx.meta.get(_ARGUMENTS, ()), *args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, the commands of a group, and then the shared options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        shows_containers = INSTALLED.has_containers(_driver_named(ctx))
        for param in self.get_params(ctx):
            title = _section_of(param)
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record and (title is not _CONTAINERS or shows_containers):
                sections.setdefault(title, []).append(record)
        for title, records in sorted(sections.items(), key=lambda one: _TITLES.index(one[0])):
            with formatter.section(title):
                formatter.write_dl(records)
            if title is _OWN and isinstance(self, click.Group):
                self.format_commands(ctx, formatter)


_OWN = "Options"
_SHARED = "Options of every command, before or after its name"
_CONTAINERS = "Options of every command, for drivers with containers"
_TITLES = (_OWN, _SHARED, _CONTAINERS)


def _section_of(param: click.Parameter) -> str:
    if param not in SHARED_OPTIONS:
        return _OWN
    return _CONTAINERS if param.name in _OF_CONTAINERS else _SHARED


def _driver_named(ctx: click.Context) -> str | None:
    """Return the driver that the user names on the command line or by its variable, or None."""
    words: tuple[str, ...] = ctx.meta.get(_ARGUMENTS, ())
    for option, value in pairwise((*words, "")):
        name, equals, rest = option.partition("=")
        if name in _DRIVER_OPTIONS:
            return rest if equals else value
    driver = next(one for one in SHARED_OPTIONS if one.name == "driver")
    variable: str | None = driver.resolve_envvar_value(ctx.find_root())
    return variable
