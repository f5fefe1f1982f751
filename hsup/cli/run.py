"""`hsup run`: one command with the application's environment."""

from __future__ import annotations

from typing import Any

import click

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
  hsup run '/usr/bin/printenv | sort'    one word goes to the shell
  hsup run -- echo "a  b" '$HOME'        several words are taken as they are
  hsup run worker 42                     a type stands for its command
  hsup run -d libcontainer --size performance-m bash""",
)
@click.argument("words", metavar="COMMAND [ARGUMENTS]...", nargs=-1, required=True)
@click.pass_obj
def command(before: Options, /, words: tuple[str, ...], **given: Any) -> None:
    """Run a command as a one-off dyno of the current release.

    A first word that is a process type of the release stands for its command.
    Everything after the command's name is the command's own. Its streams are
    those of hsup, and hsup ends with its exit status: 128 + N if signal N
    killed it, 127 if there is no such command, 126 if it cannot be executed.
    """
    run(words, before.refined(given))
