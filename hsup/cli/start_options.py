"""The options of `hsup start` alone; a file of the application may have them, too."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from hsup.cli.defaults import DEFAULT_HISTORY_LINES
from hsup.cli.shared import ON_OR_OFF, CompletedOption, alternatives

_QUANTITIES = ("one", "release")
_MOST_HISTORY_LINES = 1_000_000


def quantities_option(verb: str) -> CompletedOption:
    """Return the option that chooses between one dyno of each type and the release's quantities."""
    return CompletedOption(
        ("--quantities",),
        type=click.Choice(_QUANTITIES),
        expected=alternatives(_QUANTITIES),
        envvar="HSUP_QUANTITIES",
        help=f"What to {verb} if no TYPE is given. one: one dyno of each type whose quantity is "
        "above zero; release: as many as the release says.  [default: one; release on Heroku]  "
        "[HSUP_QUANTITIES]",
    )


START_OPTIONS = (
    quantities_option("start"),
    CompletedOption(
        ("--stay/--no-stay",),
        default=None,
        expected=ON_OR_OFF,
        envvar="HSUP_STAY",
        help="Wait for another release when nothing is left to run.  [HSUP_STAY]",
    ),
    CompletedOption(
        ("--abort-on-exit/--no-abort-on-exit",),
        default=None,
        expected=ON_OR_OFF,
        envvar="HSUP_ABORT_ON_EXIT",
        help="Stop all dynos when one ends, and exit with its status.  [HSUP_ABORT_ON_EXIT]",
    ),
    CompletedOption(
        ("--exit-code-from",),
        multiple=True,
        metavar="TYPE",
        envvar="HSUP_EXIT_CODE_FROM",
        help="Stop all dynos when one ends, and exit with the status of the one of this type that "
        "ended first.  [HSUP_EXIT_CODE_FROM]",
    ),
    CompletedOption(
        ("--stdin",),
        multiple=True,
        metavar="DYNO",
        envvar="HSUP_STDIN",
        help="Give one dyno, web or web.2 for example, hsup's standard input: for a debugger.  "
        "[HSUP_STDIN]",
    ),
    CompletedOption(
        ("--tty/--no-tty",),
        default=None,
        expected=ON_OR_OFF,
        envvar="HSUP_TTY",
        help="Give dynos terminals to write to: many programs print colours only there.  "
        "[HSUP_TTY]",
    ),
    CompletedOption(
        ("--only",),
        multiple=True,
        metavar="TYPE[,TYPE]...",
        envvar="HSUP_ONLY",
        help="Print only the lines of these process types, or of these dynos: web, worker.2; can "
        "be repeated.  [HSUP_ONLY]",
    ),
    CompletedOption(
        ("--prefix/--no-prefix",),
        default=None,
        expected=ON_OR_OFF,
        envvar="HSUP_PREFIX",
        help="Print the time and the dyno before each line, in the format for the screen, which "
        "this chooses.  [default: on]  [HSUP_PREFIX]",
    ),
    CompletedOption(
        ("--timestamps/--no-timestamps",),
        default=None,
        expected=ON_OR_OFF,
        envvar="HSUP_TIMESTAMPS",
        help="Print the time before each line, in the format for the screen, which this chooses.  "
        "[default: on]  [HSUP_TIMESTAMPS]",
    ),
    CompletedOption(
        ("--log-history",),
        type=click.IntRange(0, _MOST_HISTORY_LINES),
        expected=f"a whole number from 0 to {_MOST_HISTORY_LINES}",
        metavar="N",
        envvar="HSUP_LOG_HISTORY",
        help="How many of the last log lines the control API can show.  "
        f"[default: {DEFAULT_HISTORY_LINES}]  [HSUP_LOG_HISTORY]",
    ),
)


def by_variables(ctx: click.Context) -> dict[str, Any]:
    """Return the values that variables give these options, for a command that has not got them.

    Raises UsageError.
    """
    values: dict[str, Any] = {}
    for option in START_OPTIONS:
        name, value = str(option.name), option.value_from_envvar(ctx)
        if value is not None:
            ctx.set_parameter_source(name, ParameterSource.ENVIRONMENT)
            values[name] = option.type_cast_value(ctx, value)
    return values
