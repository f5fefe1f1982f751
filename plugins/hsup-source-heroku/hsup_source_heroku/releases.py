"""The command `hsup releases`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from hsup.visible import tell, tell_json, warn

if TYPE_CHECKING:
    from hsup.api import CommandContext
    from hsup_source_heroku.answers import ReleaseAnswer

_DEFAULT_MOST = 15


@click.command(
    epilog="""\b
Examples:
  hsup releases -a myapp
  hsup releases -a myapp -n 100
  hsup releases -a myapp --json"""
)
@click.option("-a", "--app", metavar="NAME", help="The application's name.  [HSUP_APP]")
@click.option(
    "-n",
    "--num",
    "most",
    type=click.IntRange(min=1),
    default=_DEFAULT_MOST,
    metavar="N",
    help=f"How many to list.  [default: {_DEFAULT_MOST}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def releases(context: CommandContext, /, *, app: str | None, most: int, as_json: bool) -> None:
    """List the releases of an application on Heroku.

    The newest comes first. The release marked * is the newest one that has succeeded, which
    `hsup start` and `hsup run` use. A rollback is a release of its own, as on
    the platform.
    """
    from hsup_source_heroku.connect import connect
    from hsup_source_heroku.snapshot import Reader

    settings = context.settings()
    name, client = connect(settings._replace(app=app or settings.app))
    with closing(client):
        history = Reader(client, name).history(most)
    if as_json:
        tell_json([_fields(one) for one in history])
        return
    if not history:
        warn(f"{name} has no release yet")
        return
    for line in _lines(history):
        tell(line)


def _fields(release: ReleaseAnswer) -> dict[str, Any]:
    return {
        "version": release.version,
        "status": release.status,
        "created_at": release.created_at,
        "user": release.user and release.user.email,
        "description": release.description,
    }


def _lines(history: Sequence[ReleaseAnswer]) -> Sequence[str]:
    from hsup.table import table

    current = next((one for one in history if one.has_succeeded), None)
    rows: list[tuple[str, ...]] = [("", "VERSION", "STATUS", "CREATED", "BY", "DESCRIPTION")]
    for one in history:
        mark = "*" if one is current else ""
        email = one.user and one.user.email
        shown = (one.created_at or "", email or "", one.description or "")
        rows.append((mark, f"v{one.version}", one.status, *shown))
    return [*table(rows)]
