"""`hsup completion`: have a shell complete the commands and options of hsup."""

from __future__ import annotations

import os
import shlex
import sys
from typing import NamedTuple

import click
from click.shell_completion import get_completion_class

from hsup.cli.config import variables
from hsup.cli.defaults import COMPLETION
from hsup.directories import home
from hsup.errors import HsupError, UsageError
from hsup.visible import tell


class _Place(NamedTuple):
    """Where a shell looks for completions, from the variable's directory or that below home.

    `remark` is what else the user has to do; `{}` is the directory of the file, quoted.
    """

    variable: str
    default: str
    path: str
    remark: str = ""


#: From the manuals: bash-completion's README, zshcompsys(1), fish's "Where to put completions".
_PLACES = {
    "bash": _Place(
        "XDG_DATA_HOME",
        ".local/share",
        "bash-completion/completions/hsup",
        "it requires the package bash-completion",
    ),
    "zsh": _Place(
        "ZDOTDIR",
        "",
        ".zfunc/_hsup",
        "add to .zshrc, unless it is there: fpath+=({}); autoload -Uz compinit; compinit",
    ),
    "fish": _Place("XDG_CONFIG_HOME", ".config", "fish/completions/hsup.fish"),
}


@click.command(
    "completion",
    epilog="""\b
Examples:
  hsup completion --install          for the shell that you use
  hsup completion fish --install
  hsup completion bash > /usr/share/bash-completion/completions/hsup""",
)
@click.argument("shell", required=False, type=click.Choice(tuple(_PLACES)))
@click.option(
    "--install", "installs", is_flag=True, help="Write the script to where the shell looks for it."
)
def command(shell: str | None, *, installs: bool) -> None:
    """Print a script for shell completion.

    SHELL is bash, zsh or fish; by default, the one that $SHELL names. Commands, options, and the
    names of drivers, sources, sizes, process types, stacks and formats are completed.
    """
    name = shell or _own_shell()
    text = script(name)
    if not installs:
        sys.stdout.write(text)
        return
    place = _PLACES[name]
    environ = variables()
    directory = environ.get(place.variable) or os.path.join(home(environ), place.default)
    path = os.path.join(directory, place.path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise HsupError(f"cannot write {path}: {error.strerror}") from error
    tell(f"wrote {path}; start another {name} to use it")
    if place.remark:
        tell(place.remark.format(shlex.quote(os.path.dirname(path))))


def script(shell: str) -> str:
    """Return what a shell reads to complete the command line of hsup."""
    from hsup.cli.commands import hsup  # which imports this module
    from hsup.cli.shells import register  # slow to import, rarely needed

    register()
    made = get_completion_class(shell)
    assert made is not None
    return made(hsup, {}, "hsup", COMPLETION).source() + "\n"


def _own_shell() -> str:
    path = variables().get("SHELL", "")
    name = os.path.basename(path)
    if name not in _PLACES:
        text = f'cannot tell which shell you use: SHELL is "{path}"'
        raise UsageError(text, hint=f"choose from {', '.join(_PLACES)}, as in hsup completion bash")
    return name
