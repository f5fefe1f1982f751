"""Find the application and the API key."""

from __future__ import annotations

import time
from collections.abc import Callable

from hsup.api import Settings
from hsup.errors import UsageError
from hsup_source_heroku import CREATE_KEY, TOKENS
from hsup_source_heroku.budget import Budget
from hsup_source_heroku.client import Client
from hsup_source_heroku.credentials import api_url, find


def connect(settings: Settings, clock: Callable[[], float] = time.monotonic) -> tuple[str, Client]:
    """Return the name of the application, and a client of the API.

    Raises UsageError if the application or the key is missing.
    """
    app = application(settings)
    token = find(settings.environ)
    if token is None:
        raise UsageError(
            "there is no key for the Platform API",
            hint=f"set {TOKENS[0]} to a key ({CREATE_KEY}), or run heroku login",
        )
    return app, Client(api_url(settings.environ), token, Budget(), clock=clock)


def application(settings: Settings) -> str:
    """Return the name of the application. Raises UsageError without one."""
    if not settings.app:
        raise UsageError("no Heroku application is given", hint="pass --app NAME, or set HSUP_APP")
    return settings.app
