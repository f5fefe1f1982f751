"""`hsup start`: run and supervise the dynos of an application."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from typing import Any

import click
from click.core import ParameterSource

from hsup.cli.options import Options
from hsup.cli.quantities import parse_types
from hsup.cli.shared import ON_OR_OFF, CheckedOption, SharingCommand, alternatives
from hsup.cli.supervising import Request, supervise
from hsup.descriptors import require_least
from hsup.errors import UsageError
from hsup.supervision.formation import ScaleRequest

_STDERR = 2  # also if Python has no stream open there
_QUANTITIES = ("one", "release")


@click.command(
    "start",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup start                        one dyno of every type
  hsup start web=2 worker           two of web, one of worker, none of others
  hsup start web=2:standard-2x      two of web, with more memory each
  hsup start --quantities release   as many as the release says
  hsup start --oneshot              each once; exit when all have ended

\b
Signals: TERM and INT stop all dynos and end hsup; a second one (or QUIT)
kills them at once; a third one makes hsup exit without waiting. HUP fetches
the release from the source again. USR1 prints a diagnostic log.""",
)
@click.argument("types", metavar="[TYPE[=N[:SIZE]]]...", nargs=-1)
@click.option(
    "--quantities",
    cls=CheckedOption,
    type=click.Choice(_QUANTITIES),
    expected=alternatives(_QUANTITIES),
    envvar="HSUP_QUANTITIES",
    help="What to start if no TYPE is given. one: one dyno of each type whose quantity is above "
    "zero; release: as many as the release says.  [default: one; release on Heroku]  "
    "[HSUP_QUANTITIES]",
)
@click.option(
    "--stay/--no-stay",
    cls=CheckedOption,
    expected=ON_OR_OFF,
    envvar="HSUP_STAY",
    help="Wait for another release when nothing is left to run.  [HSUP_STAY]",
)
@click.pass_obj
def command(
    outer: Options,
    /,
    types: tuple[str, ...],
    quantities: str | None,
    *,
    stay: bool,
    **given: Any,
) -> None:
    """Start dynos, and keep them running until hsup is stopped.

    A new release of the source restarts the dynos that it changes, and no others.
    Exits with status 0 after SIGTERM, 130 after SIGINT, and 1 if a dyno had to
    be killed because it did not end in time.
    """
    options = outer.refined(given)
    said_by = click.get_current_context().get_parameter_source("quantities")
    if types and quantities == "release" and said_by == ParameterSource.COMMANDLINE:
        raise UsageError("--quantities release cannot be used together with TYPE")
    request = Request(
        options=options,
        asked=_asked(options, types, follows_release=not types and quantities == "release"),
        stays=stay,
        may_follow=not types and quantities is None,
    )
    require_least()
    _keep_descriptors_from_dynos()
    gc.freeze()  # what is imported by now is never freed
    gc.enable()
    sys.exit(asyncio.run(supervise(request)))


def _asked(options: Options, types: tuple[str, ...], *, follows_release: bool) -> ScaleRequest:
    wanted = parse_types(types)
    return ScaleRequest(
        quantities={name: quantity for name, (quantity, _) in wanted.items()} or None,
        sizes={name: size for name, (_, size) in wanted.items() if size},
        size=options.size,
        follows_release=follows_release,
        start_number=options.start_number or 1,
    )


def _keep_descriptors_from_dynos() -> None:
    """Keep dynos from inheriting descriptors that hsup's caller left open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > _STDERR:
            try:
                os.set_inheritable(int(name), False)  # noqa: FBT003 - os takes it by position only
            except OSError:  # the descriptor that listed the directory
                pass
