"""The command line of hsup."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from hsup.cli import config
from hsup.cli.defaults import VARIABLES
from hsup.cli.options import Options
from hsup.errors import HsupError
from hsup.visible import warn, warn_of


def main() -> None:
    """Run hsup, and exit with its status."""
    sys.excepthook = lambda _, error, __: warn_of(error)
    try:
        if words := words_of_plain_run(sys.argv[1:], config.variables()):
            from hsup.cli.one_off import run

            run(words, Options({}))
        from hsup.cli.commands import hsup

        hsup(prog_name="hsup")
    except HsupError as error:
        warn(str(error))
        sys.exit(error.exit_code)


def words_of_plain_run(arguments: Sequence[str], variables: Iterable[str]) -> tuple[str, ...]:
    """Return the words of an `hsup run` without options, none for any other command.

    There is nothing to parse then, and importing click takes a sixth of the time of
    `hsup run` (bench/run.py). `variables` are the names of the environment variables that
    are set: some stand for options.
    """
    if not VARIABLES.isdisjoint(variables):
        return ()
    match arguments:
        case ["run", "--", *words]:
            return tuple(words)
        case ["run", first, *words] if not first.startswith("-"):
            return (first, *words)
    return ()
