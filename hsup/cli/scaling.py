"""The words and options that say how many dynos of each type a command is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import click
from click.core import ParameterSource

from hsup.cli.options import Options
from hsup.cli.quantities import scale_request
from hsup.cli.shared import CheckedOption, alternatives
from hsup.errors import UsageError
from hsup.supervision.formation import ScaleRequest

_QUANTITIES = ("one", "release")
#: Names nothing, and overrides the formation of a file.
_NO_FORMATION = (",",)

_Command = TypeVar("_Command", bound=Callable[..., None])


def quantities_option(verb: str) -> Callable[[_Command], _Command]:
    """Return the option that chooses between one dyno of each type and the release's quantities."""
    return click.option(
        "--quantities",
        cls=CheckedOption,
        type=click.Choice(_QUANTITIES),
        expected=alternatives(_QUANTITIES),
        envvar="HSUP_QUANTITIES",
        help=f"What to {verb} if no TYPE is given. one: one dyno of each type whose quantity is "
        "above zero; release: as many as the release says.  [default: one; release on Heroku]  "
        "[HSUP_QUANTITIES]",
    )


def asked_by(
    options: Options, types: Iterable[str], quantities: str | None
) -> tuple[Options, ScaleRequest]:
    """Return how many dynos there should be, and the options without a formation that gives way.

    `types` and `quantities` are what the command was given. Raises UsageError.
    """
    as_released = quantities == "release"
    if as_released and is_typed("quantities"):
        if types or is_typed("formation"):
            text = "--quantities release cannot be used together with TYPE or --formation"
            raise UsageError(text)
        options = options.refined({"formation": _NO_FORMATION})  # that of a file or a variable
    return options, scale_request(options, types, follows_release=as_released)


def is_typed(name: str) -> bool:
    """Tell whether a parameter was given on the command line, before or after the command."""
    ctx: click.Context | None = click.get_current_context()
    while ctx is not None:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            return True
        ctx = ctx.parent
    return False
