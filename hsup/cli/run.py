"""`hsup run`: run one command with the application's environment."""

from __future__ import annotations

from typing import Any

import click

from hsup.cli import completing
from hsup.cli.one_off import run
from hsup.cli.options import Options
from hsup.cli.shared import SharingCommand


@click.command(
    "run",
    cls=SharingCommand,
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  hsup run bash
  hsup run '/usr/bin/printenv | sort'    one word is run by the shell
  hsup run -- echo "a  b" '$HOME'        several words are run as they are
  hsup run worker 42                     a process type runs its command
  hsup run -d libcontainer --size performance-m bash""",
)
@click.argument(
    "words",
    metavar="COMMAND [ARGUMENTS]...",
    nargs=-1,
    required=True,
    shell_complete=completing.types,
)
@click.pass_obj
def command(outer: Options, /, words: tuple[str, ...], **given: Any) -> None:
    """Run a command as a one-off dyno of the current release.

    If the first word is a process type of the release, its command is run.
    Everything after the first word is passed on to the command. The command
    uses hsup's standard streams, and hsup exits with its status: 128 + N if
    signal N killed it, 127 if the command does not exist, 126 if it cannot be
    executed. What it writes is delivered to log drains, too, if there are any.
    """
    run(words, outer.refined(given))
