"""Make the spec of a dyno from a release, and a one-off command from typed words."""

from __future__ import annotations

import os
from collections.abc import Collection

from hsup.model import Bind, Command, DynoInput, DynoName, DynoSpec, Release
from hsup.supervision.passing import Passing


def dyno_spec(
    release: Release,
    name: DynoName,
    command: Command,
    *,
    port: int | None,
    size: str | None = None,
    binds: tuple[Bind, ...] = (),
    has_metadata: bool = False,
    passing: Passing | None = None,
    input: DynoInput = "empty",  # noqa: A002 - the name of the field
) -> DynoSpec:
    """Return what a driver needs to run a command as a dyno of a release."""
    return DynoSpec(
        name=name,
        command=command,
        config=release.config,
        port=port,
        slug=release.slug,
        stack=release.stack,
        binds=binds,
        size=size,
        app=release.app,
        release_version=release.version,
        metadata=_metadata(release, name) if has_metadata else {},
        author=release.author,
        passed=passing.variables(release) if passing else {},
        input=input,
    )


def _metadata(release: Release, name: DynoName) -> dict[str, str]:
    """Return the variables that describe a dyno, with the platform's names.

    See Dyno Metadata in Heroku's Dev Center.
    """
    from hsup.launch import dyno_id  # only here: `hsup run` rarely needs it

    return {
        **release.variables,
        "HEROKU_DYNO_ID": dyno_id(release.app, release.version, str(name)),
    }


def one_off_command(release: Release, words: tuple[str, ...]) -> Command:
    """Return what `hsup run` executes; a process type runs its command, as on the platform.

    The words after the type are added to its command. A single word is a shell line, which
    may begin with a process type.
    """
    is_line = len(words) == 1
    name, _, rest = words[0].strip().partition(" ") if is_line else (words[0], "", "")
    process = release.process(name)
    if process is None or not process.command.words:
        return Command(words)
    command, added = process.command, words[1:]
    if rest or (added and command.is_shell_line):
        import shlex

        return Command((f"{command} {rest or shlex.join(added)}",))
    return Command((*command.words, *added))


def one_off_name(kind: str, live: Collection[DynoName] = ()) -> DynoName:
    """Return a name such as `run.4711`: the kind and four random digits, unlike all live ones."""
    first = int.from_bytes(os.urandom(4))
    names = (DynoName(kind, 1000 + (first + index) % 9000) for index in range(9000))
    return next(name for name in names if name not in live)
