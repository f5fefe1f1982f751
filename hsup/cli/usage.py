"""Say what is wrong with a command line in hsup's own words, and not in those of its parser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import click

from hsup.cli.shared import alternatives
from hsup.cli.suggestions import hint, meant
from hsup.errors import UsageError
from hsup.visible import visible

#: What hsup has where other tools have a command: honcho, foreman, docker compose, `heroku`.
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("up", "local", "serve", "server"), "hsup start starts the dynos of an application"
    ),
    **dict.fromkeys(
        ("ps", "status", "top"), "hsup start reports every change of a dyno in its output"
    ),
    **dict.fromkeys(("logs", "log", "tail"), "hsup start prints the output of all dynos"),
    **dict.fromkeys(
        ("stop", "down", "kill", "quit"), "^C, or SIGTERM to hsup start, stops all dynos"
    ),
    **dict.fromkeys(
        ("restart", "ps:restart", "reload"),
        "hsup start restarts what a new release changes; SIGHUP makes it fetch the release again",
    ),
    **dict.fromkeys(
        ("scale", "ps:scale"), "set the number of dynos at the start: hsup start web=2 worker"
    ),
    **dict.fromkeys(
        ("exec", "run:detached", "ps:exec", "shell", "bash"),
        "hsup run bash runs a command with the application's environment",
    ),
    **dict.fromkeys(
        ("config", "config:get", "config:set", "env"),
        "config vars are in .env, or in the release; hsup run -- env prints them",
    ),
    **dict.fromkeys(
        ("push", "deploy"), "hsup runs releases, and makes none; hsup start runs what is there"
    ),
    "open": "hsup start says at which address web serves, http://localhost:5000 by default",
    "pull": "hsup build fetches and unpacks the slug",
    **dict.fromkeys(("validate", "lint", "test"), "hsup check says what is wrong with a release"),
    "version": "hsup --version prints the version",
    "help": "hsup --help lists the commands, and hsup start --help the options of start",
}

#: What hsup has where other tools have an option: honcho, foreman, overmind, node-foreman.
_OPTIONS_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("-t", "--timeout"), "--grace SECONDS sets the time between SIGTERM and SIGKILL"
    ),
    **dict.fromkeys(("--no-color", "--no-colour"), "set NO_COLOR=1 for output without colours"),
    **dict.fromkeys(
        ("--color", "--colour"),
        "on a terminal, hsup colours the names of dynos; FORCE_COLOR=1 or --tty has many programs "
        "colour what they print",
    ),
    **dict.fromkeys(
        ("--no-restart", "--no-restarts", "--once"),
        "--oneshot runs each dyno once; --abort-on-exit stops all dynos when one ends",
    ),
    **dict.fromkeys(
        ("--restart", "--auto-restart"),
        "hsup start restarts each dyno that ends, unless there is --oneshot or --abort-on-exit",
    ),
    **dict.fromkeys(
        ("-q", "--quiet"), "hsup start --only TYPE prints the lines of that type alone"
    ),
    "-j": "-f FILE names the Procfile",
}

#: The packages that bring commands of their own.
_PACKAGES = {"releases": "hsup-source-heroku", "stacks": "hsup-driver-libcontainer"}

_NO_SUCH_COMMAND = re.compile(r"No such command '(.*)'\.")
_UNEXPECTED = re.compile(r"Got unexpected extra arguments? \((.*)\)")


def no_such_command(word: str, commands: Iterable[str]) -> UsageError:
    """Return the error for a command that hsup has not got."""
    text = f'there is no command "{word}"'
    if package := _PACKAGES.get(word):
        from hsup.plugins.installation import how_to_install  # slow to import, rarely needed

        return UsageError(f'the command "{word}" is not installed', hint=how_to_install(package))
    known = tuple(commands)
    if elsewhere := ELSEWHERE.get(word):
        return UsageError(text, hint=elsewhere)
    return UsageError(text, hint=hint(word, known))


def in_own_words(error: click.UsageError, command_path: str) -> UsageError:
    """Return the error of hsup that says what an error of the parser says.

    `command_path` is the command if the error does not know it: `hsup start`.
    """
    text, remedy = _told(error)
    path = error.ctx.command_path if error.ctx is not None else command_path
    return UsageError(visible(text), hint=remedy or f"see {path} --help")


def _told(error: click.UsageError) -> tuple[str, str | None]:
    """Return what is wrong, and what to do if that is known."""
    match error:
        case click.NoSuchOption():
            return _no_such_option(error)
        case click.BadOptionUsage():
            needs = "takes no value" if "not take" in error.message else "needs a value"
            return f"option {error.option_name} {needs}", None
        case click.MissingParameter():
            return f"{_name(error)} is missing", None
        case click.BadParameter() if error.param and isinstance(error.param.type, click.Choice):
            return (
                f"{_name(error)} must be {alternatives([*map(str, error.param.type.choices)])}",
                None,
            )
        case click.BadParameter():
            return f"{_name(error)}: {_without_full_stop(error.message)}", None
        case _:
            return _told_by_message(error)


def _told_by_message(error: click.UsageError) -> tuple[str, str | None]:
    """Return the same for an error that only its message tells from others."""
    if found := _NO_SUCH_COMMAND.match(error.message):
        return f'there is no command "{found[1]}"', _choice(found[1], error.ctx)
    if found := _UNEXPECTED.match(error.message):
        return f'unexpected argument "{found[1]}"', None
    return _without_full_stop(error.format_message()), None


def _no_such_option(error: click.NoSuchOption) -> tuple[str, str | None]:
    name = error.option_name
    if elsewhere := _OPTIONS_ELSEWHERE.get(name):
        return f"there is no option {name}", elsewhere
    if error.ctx is None or not name.startswith("--"):
        return f"there is no option {name}", None
    known = (
        one for param in error.ctx.command.params for one in (*param.opts, *param.secondary_opts)
    )
    guess = meant(name.removeprefix("--"), (one[2:] for one in known if one.startswith("--")))
    return f"there is no option {name}", guess and f"did you mean --{guess}?"


def _choice(word: str, ctx: click.Context | None) -> str | None:
    if ctx is None or not isinstance(ctx.command, click.Group):
        return None
    return hint(word, ctx.command.list_commands(ctx))


def _name(error: click.BadParameter) -> str:
    """Return how the user knows a parameter: `--grace`, or what the usage line calls it."""
    param = error.param
    if isinstance(param, click.Option):
        return f"option {max(param.opts, key=len)}"
    return param.human_readable_name.split()[0].strip("[]") if param is not None else "a value"


def _without_full_stop(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
