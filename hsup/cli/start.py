"""`hsup start`: run and supervise the dynos of an application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from hsup.cli import completing
from hsup.cli.defaults import SCREEN_FORMAT
from hsup.cli.options import Options
from hsup.cli.scaling import asked_by, is_typed, quantities_option
from hsup.cli.shared import ON_OR_OFF, CheckedOption, SharingCommand, called
from hsup.cli.starting import start
from hsup.cli.supervising import Request
from hsup.errors import UsageError
from hsup.model import DynoName
from hsup.numerals import whole_number

#: The options that say how lines look, without what turns them off.
_LOOKS = {"has_prefix": "prefix", "has_times": "timestamps"}


@click.command(
    "start",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup start                        one dyno of every type
  hsup start web=2 worker           two of web, one of worker, none of others
  hsup start web=2:standard-2x      two of web, with more memory each
  hsup start -m all=1,web=2         two of web, one of every other type
  hsup start --quantities release   as many as the release says
  hsup start -p 7000                web.1 listens on port 7000
  hsup start --exit-code-from test  for CI: end with test, and with its status
  hsup start --oneshot              each once; exit when all have ended

\b
Signals: TERM and INT stop all dynos and end hsup; a second one (or QUIT)
kills them at once; a third one makes hsup exit without waiting. HUP fetches
the release from the source again. USR1 prints a diagnostic log.""",
)
@click.argument(
    "types", metavar="[TYPE[=N[:SIZE]]]...", nargs=-1, shell_complete=completing.types_and_sizes
)
@quantities_option("start")
@click.option(
    "--stay/--no-stay",
    cls=CheckedOption,
    expected=ON_OR_OFF,
    envvar="HSUP_STAY",
    help="Wait for another release when nothing is left to run.  [HSUP_STAY]",
)
@click.option(
    "--abort-on-exit/--no-abort-on-exit",
    cls=CheckedOption,
    expected=ON_OR_OFF,
    envvar="HSUP_ABORT_ON_EXIT",
    help="Stop all dynos when one ends, and exit with its status.  [HSUP_ABORT_ON_EXIT]",
)
@click.option(
    "--exit-code-from",
    "status_from",
    multiple=True,
    metavar="TYPE",
    shell_complete=completing.types,
    envvar="HSUP_EXIT_CODE_FROM",
    help="Stop all dynos when one ends, and exit with the status of the one of this type that "
    "ended first.  "
    "[HSUP_EXIT_CODE_FROM]",
)
@click.option(
    "--stdin",
    "reader",
    multiple=True,
    metavar="DYNO",
    shell_complete=completing.types,
    envvar="HSUP_STDIN",
    help="Give one dyno, web or web.2 for example, hsup's standard input: for a debugger.  "
    "[HSUP_STDIN]",
)
@click.option(
    "--tty/--no-tty",
    "has_terminals",
    cls=CheckedOption,
    expected=ON_OR_OFF,
    envvar="HSUP_TTY",
    help="Give dynos terminals to write to: many programs print colours only there.  [HSUP_TTY]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="TYPE[,TYPE]...",
    shell_complete=completing.several_types,
    envvar="HSUP_ONLY",
    help="Print only the lines of these process types, or of these dynos: web, worker.2; can be "
    "repeated.  "
    "[HSUP_ONLY]",
)
@click.option(
    "--prefix/--no-prefix",
    "has_prefix",
    cls=CheckedOption,
    expected=ON_OR_OFF,
    default=None,
    envvar="HSUP_PREFIX",
    help="Print the time and the dyno before each line, in the format for the screen, which this "
    "chooses.  "
    "[default: on]  [HSUP_PREFIX]",
)
@click.option(
    "--timestamps/--no-timestamps",
    "has_times",
    cls=CheckedOption,
    expected=ON_OR_OFF,
    default=None,
    envvar="HSUP_TIMESTAMPS",
    help="Print the time before each line, in the format for the screen, which this chooses.  "
    "[default: on]  "
    "[HSUP_TIMESTAMPS]",
)
@click.pass_obj
def command(
    outer: Options,
    /,
    types: tuple[str, ...],
    quantities: str | None,
    *,
    stay: bool,
    abort_on_exit: bool,
    status_from: tuple[str, ...],
    reader: tuple[str, ...],
    has_terminals: bool,
    only: tuple[str, ...],
    has_prefix: bool | None,
    has_times: bool | None,
    **given: Any,
) -> None:
    """Start dynos, and keep them running until hsup is stopped.

    A new release of the source restarts the dynos that it changes, and no others.
    Exits with status 130 after SIGINT; after SIGTERM with 0, or 1 if a dyno had
    to be killed.
    """
    look = {"has_prefix": has_prefix, "has_times": has_times}
    shown = _for_the_screen(outer.refined(given), look)
    options, asked = asked_by(shown, types, quantities)
    ending, reading = _single("--exit-code-from", status_from), _single("--stdin", reader)
    request = Request(
        options=options,
        asked=asked,
        stays=stay,
        aborts_on_exit=abort_on_exit or ending is not None,
        status_from=ending,
        has_terminals=has_terminals,
        only=tuple(filter(None, map(str.strip, ",".join(only).split(",")))),
        called=_called(),
        look=_look(options, look),
        reader=None if reading is None else _dyno_name(reading, options.start_number or 1),
        may_follow=asked.quantities is None and quantities is None,
    )
    start(request)


def _called() -> dict[str, str]:
    """Return the variables by which options of this command were given, by these: `--only`."""
    ctx = click.get_current_context()
    options = (one for one in ctx.command.params if isinstance(one, click.Option))
    names = {one.opts[0]: called(ctx, one) for one in options}
    return {option: name for option, name in names.items() if not name.startswith("--")}


def _single(option: str, values: Sequence[str]) -> str | None:
    """Return the value of an option, None without any. Raises UsageError for different ones."""
    different = tuple(dict.fromkeys(values))
    if len(different) > 1:
        given = ", ".join(f'"{one}"' for one in different)
        raise UsageError(f"{_called().get(option, option)} can be given only once, got {given}")
    return different[0] if different else None


def _for_the_screen(options: Options, look: Mapping[str, bool | None]) -> Options:
    """Return the options with the format whose look was typed, unless another one was chosen."""
    if options.chosen_log_format is None and any(map(is_typed, look)):
        return options.refined({"log_format": SCREEN_FORMAT})
    return options


def _look(options: Options, given: Mapping[str, bool | None]) -> dict[str, bool]:
    """Return how lines are printed, which only the format for the screen leaves open.

    Raises UsageError if another format was asked for, too.
    """
    look = {name: value for name, value in given.items() if value is not None}
    form = options.log_format
    if form == SCREEN_FORMAT:
        return look
    for name, value in look.items():
        if is_typed(name):
            option = f"--{'' if value else 'no-'}{_LOOKS[name]}"
            called = options.called("log_format")
            text = f'{option} applies only to the format for the screen, and {called} is "{form}"'
            raise UsageError(text, hint="leave one of them out")
    return {}


def _dyno_name(text: str, first_number: int) -> DynoName:
    """Return the dyno that a user means: `web.2`, or the first of `web`. Raises UsageError."""
    name, dot, digits = text.rpartition(".")
    if not dot:
        return DynoName(text, first_number)
    number = whole_number(digits)
    if not name or not number:
        option = _called().get("--stdin", "--stdin")
        raise UsageError(f'{option} must be the name of a dyno, as in web or web.2, got "{text}"')
    return DynoName(name, number)
