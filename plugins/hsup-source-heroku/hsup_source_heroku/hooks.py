"""Register Heroku's Platform API as a source of releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hsup import hookimpl
from hsup.api import Claim
from hsup.errors import UsageError
from hsup_source_heroku import TOKENS

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from hsup.api import Checked, Settings, Source, SourceFactory


class HerokuSourceFactory:
    """Makes the source for an application on Heroku, with a key to it."""

    remedy = f"set {TOKENS[0]} and --app for an application on Heroku"
    follows_formation = follows_drains = True

    def applies(self, settings: Settings) -> Claim:
        """Return `Claim.PLATFORM` with HEROKU_ACCESS_TOKEN, or another variable and an application.

        A key in ~/.netrc with an application is a `Claim.FALLBACK`, as Heroku's command line
        uses it, too.
        """
        if any(settings.environ.get(name) for name in TOKENS[: 1 if not settings.app else None]):
            return Claim.PLATFORM
        return Claim.FALLBACK if settings.app and _has_key(settings) else Claim.NONE

    def create(self, settings: Settings) -> Source:
        """Make the source. Raises UsageError if the application or the key is missing."""
        from hsup_source_heroku.source import create

        return create(settings)

    def check(self, path: Path | None, settings: Settings) -> Checked | None:
        """Report no faults, as the platform has validated its releases. Raises UsageError."""
        from hsup.api import Checked
        from hsup_source_heroku.connect import application

        return None if path else Checked(f"the application {application(settings)} on Heroku", ())


def _has_key(settings: Settings) -> bool:
    """Tell whether there is a key, even a malformed one, which `create` reports."""
    from hsup_source_heroku.credentials import find

    try:
        return find(settings.environ) is not None
    except UsageError:
        return True


@hookimpl
def hsup_register_commands() -> Sequence[click.Command]:
    """Register the command `hsup releases`."""
    from hsup_source_heroku.releases import releases

    return [releases]


@hookimpl
def hsup_register_sources() -> Mapping[str, SourceFactory]:
    """Register the source `heroku`."""
    return {"heroku": HerokuSourceFactory()}
