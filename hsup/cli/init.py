"""`hsup init`: write the files of an application for what is in its directory."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hsup.cli.config import working_directory
from hsup.cli.options import Options
from hsup.cli.shared import SharingCommand
from hsup.errors import HsupError, UsageError
from hsup.plugins.catalogue import other_procfiles
from hsup.scaffold.compose import compose
from hsup.scaffold.guess import Files, Guess
from hsup.scaffold.languages import LANGUAGES
from hsup.scaffold.watchers import development_types
from hsup.visible import tell, warn

#: Files with examples of config vars, which are copied.
_EXAMPLES = (".env.example", ".env.sample", ".env.template")
_ENV = ".env"
_DEV = "Procfile.dev"
_PRIVATE, _PUBLIC = 0o600, 0o666
_PLAIN = re.compile(r"[\w./:@%+,-]*", re.ASCII)


@click.command(
    "init",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup init             shows the files, and asks before it writes them
  hsup init --yes       writes them""",
)
@click.option("-y", "--yes", "is_sure", is_flag=True, help="Write the files without asking.")
@click.pass_obj
def command(outer: Options, /, *, is_sure: bool, **given: Any) -> None:
    """Write a Procfile, .env and app.json for this directory.

    The process types are guessed from package.json, Gemfile, manage.py, requirements.txt,
    compose.yaml and others like them. If package.json has scripts for development, such as dev and
    watch:css, Procfile.dev has them. What is there already is left as it is.
    """
    options = outer.refined(given)
    directory = Path(working_directory(options.root))
    files = Files(directory)
    guess = _guess(files)
    contents, remarks = _contents(files, guess)
    needed = {name: text for name, text in contents.items() if text is not None}
    # A link that leads nowhere is there, too.
    there = [name for name in needed if os.path.lexists(directory / name)]
    new = {name: text for name, text in needed.items() if name not in there}
    if not new:
        tell(f"{', '.join(there)} are there already; hsup start starts the application")
        return
    for name in there:
        warn(f"{name} is there already, and is left as it is")
    tell(f"guessed from {directory / guess.found}:")
    for name, text in new.items():
        tell("")
        tell(f"--- {name}")
        for line in text.splitlines():
            tell(line)
    tell("")
    for remark in (*guess.remarks, *remarks):
        warn(remark)
    _require_consent(new, is_sure=is_sure)
    _write(directory, new)
    tell(f"wrote {', '.join(new)}; {_usage(new)}")


def _usage(new: Mapping[str, str]) -> str:
    dev = f", hsup start -f {_DEV} as you develop it" if _DEV in new else ""
    return f"hsup start starts the application{dev}"


def _guess(files: Files) -> Guess:
    """Return the guess that says most. Raises UsageError if nothing can be guessed."""
    guesses = [one for look in (*LANGUAGES, compose) if (one := look(files)) is not None]
    best = next((one for one in guesses if one.types), None)
    faults = tuple(files.faults.values())
    if best is None:
        seen = (*faults, *(f"{one.found} does not say how it is started" for one in guesses))
        raise UsageError(
            f"cannot guess how the application in {files.directory} is started: "
            f"{next(iter(seen), 'no known file was found')}",
            hint=_remedy(files.directory),
        )
    others = [
        one for one in guesses if one is not best and one.found.startswith(("compose", "docker"))
    ]
    return best._replace(
        config={key: value for one in (*others, best) for key, value in one.config.items()},
        remarks=(*faults, *best.remarks, *(remark for one in others for remark in one.remarks)),
    )


def _remedy(directory: Path) -> str:
    """Return what to do where nothing can be guessed, for which another Procfile is a beginning."""
    if near := [shlex.quote(name) for name in other_procfiles(str(directory))]:
        return f"use hsup start -f {near[0]}, or copy it: cp {near[0]} Procfile"
    return 'write a Procfile, with a line like "web: command"'


def _contents(files: Files, guess: Guess) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
    """Return the files to write, None for one that is not needed, and what was not understood."""
    directory = files.directory
    example = next((name for name in _EXAMPLES if (directory / name).is_file()), None)
    copied = _text(directory / example) if example else None
    remarks = (
        (f"{example} is not copied: it is not UTF-8 text",) if example and copied is None else ()
    )
    env = _env(guess.config) if copied is None else copied
    name = re.sub(r"[^a-z0-9-]+", "-", directory.name.lower()).strip("-") or "app"
    formation = {one: {"quantity": 1} for one in guess.types if one != "release"}
    developed, told = development_types(files, guess.types)
    contents = {
        "Procfile": _procfile(guess.types),
        _DEV: _procfile(developed) or None,
        _ENV: env or None,
        "app.json": json.dumps({"name": name, "formation": formation}, indent=2) + "\n",
    }
    return contents, (*told, *remarks)


def _procfile(types: Mapping[str, str]) -> str:
    return "".join(f"{one}: {line}\n" for one, line in types.items())


def _text(path: Path) -> str | None:
    """Return the text of a file, None if it is not UTF-8. Raises HsupError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    except OSError as error:
        raise HsupError(f"cannot read {path}: {error.strerror}") from error


def _env(config: Mapping[str, str]) -> str:
    quoted = (value if _PLAIN.fullmatch(value) else shlex.quote(value) for value in config.values())
    return "".join(f"{name}={value}\n" for name, value in zip(config, quoted, strict=True))


def _require_consent(new: Mapping[str, str], *, is_sure: bool) -> None:
    """Return if the user wants the files; end hsup if not. Raises UsageError without a terminal."""
    if is_sure:
        return
    if not (os.isatty(0) and os.isatty(1)):
        text = "nothing was written: without a terminal, nobody can be asked"
        raise UsageError(text, hint="use --yes")
    try:
        wants = click.confirm(f"Write {', '.join(new)}?", default=True)
    except click.Abort:  # ^D
        wants = False
        tell("")  # ends the line of the question
    if not wants:
        tell("nothing was written")
        sys.exit(1)


def _write(directory: Path, new: Mapping[str, str]) -> None:
    """Write files that are not there; one with config vars for this user alone."""
    encoded = {directory / name: _encoded(directory / name, text) for name, text in new.items()}
    for path, content in encoded.items():
        mode = _PRIVATE if path.name == _ENV else _PUBLIC
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except OSError as error:
            raise HsupError(f"cannot write {path}: {error.strerror}") from error


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise HsupError(f"cannot write {path}: {error}") from error
