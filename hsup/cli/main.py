"""The command line of hsup."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hsup.cli import config
from hsup.cli.defaults import COMPLETION, VARIABLES
from hsup.cli.options import Options
from hsup.errors import HsupError
from hsup.visible import warn, warn_of


def main() -> None:
    """Run hsup, and exit with its status."""
    sys.excepthook = lambda _, error, __: warn_of(error)
    try:
        _run(sys.argv[1:])
    except HsupError as error:
        warn(str(error))
        sys.exit(error.exit_code)


def _run(arguments: Sequence[str]) -> None:
    """Run a command.

    Without options there is nothing to parse, and importing click takes a sixth of the time of
    `hsup run` (bench/run.py), and a tenth of that until `hsup start` has printed its first line
    (bench/first_line.py).
    """
    variables = config.variables()
    if not VARIABLES.isdisjoint(variables):  # which stand for options
        arguments = ()
    if words := words_of_plain_run(arguments):
        from hsup.cli.one_off import run

        run(words, Options({}))
    if is_plain_start(arguments):
        from hsup.cli.starting import start_types

        start_types(arguments[1:])
    from hsup.cli.commands import hsup

    if COMPLETION in variables:
        from hsup.cli.shells import register

        register()
    hsup(prog_name="hsup")


def words_of_plain_run(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the words of an `hsup run` without options, none for any other command."""
    match arguments:
        case ["run", "--", *words]:
            return tuple(words)
        case ["run", first, *words] if not first.startswith("-"):
            return (first, *words)
    return ()


def is_plain_start(arguments: Sequence[str]) -> bool:
    """Tell whether this is an `hsup start` without options."""
    return arguments[:1] == ["start"] and not any(word.startswith("-") for word in arguments)
