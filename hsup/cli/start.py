"""`hsup start`: run and supervise the dynos of an application."""

from __future__ import annotations

from typing import Any

import click

from hsup.cli import completing
from hsup.cli.options import Options
from hsup.cli.shared import SharingCommand, by_variable
from hsup.cli.start_options import START_OPTIONS
from hsup.cli.starting import requested, start


@click.command(
    "start",
    cls=SharingCommand,
    params=[*START_OPTIONS],
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
@click.pass_obj
def command(outer: Options, /, types: tuple[str, ...], **given: Any) -> None:
    """Start dynos, and keep them running until hsup is stopped.

    A new release of the source restarts the dynos that it changes, and no others.
    Exits with status 130 after SIGINT; after SIGTERM with 0, or 1 if a dyno had
    to be killed.
    """
    start(requested(outer.refined(given, by_variable(click.get_current_context())), types))
