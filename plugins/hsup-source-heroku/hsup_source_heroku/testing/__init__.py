"""The Platform API, version 3, to test against: a real server with its answers and its faults.

    with PlatformApi() as api:
        app = api.create_app("shop")
        app.release(config={"GREETING": "hello"})
        api.fail(api.status(503), times=2, path="/releases")

HSUP_PLATFORM_API_SCHEMA may name a copy of https://api.heroku.com/schema: then `api.invalid`
tells which answers are not as published, which takes jsonschema. All else needs nothing but
Python, not even hsup: who tests a program from outside has it, too.
"""

from __future__ import annotations

from hsup_source_heroku.testing.answers import Answer, Fault
from hsup_source_heroku.testing.apps import App, tiny_archive
from hsup_source_heroku.testing.platform_api import TOKEN, PlatformApi, Seen
from hsup_source_heroku.testing.schema import PublishedSchema

__all__ = [
    "TOKEN",
    "Answer",
    "App",
    "Fault",
    "PlatformApi",
    "PublishedSchema",
    "Seen",
    "tiny_archive",
]
