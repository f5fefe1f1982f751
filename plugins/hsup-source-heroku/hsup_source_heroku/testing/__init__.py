"""A server for tests, with the answers and the faults of the Platform API, version 3.

    with PlatformApi() as api:
        app = api.create_app("shop")
        app.release(config={"GREETING": "hello"})
        api.fail(api.status(503), times=2, path="/releases")

HSUP_PLATFORM_API_SCHEMA may name a copy of https://api.heroku.com/schema. Then `api.invalid` lists
the answers that do not conform to it, which takes jsonschema. All else needs nothing but Python,
not even hsup, so that tests can also run hsup from outside.
"""

from __future__ import annotations

from hsup_source_heroku.testing.answers import Fault, HttpAnswer
from hsup_source_heroku.testing.apps import App, tiny_archive
from hsup_source_heroku.testing.platform_api import TOKEN, PlatformApi, SeenRequest
from hsup_source_heroku.testing.schema import PublishedSchema

__all__ = [
    "TOKEN",
    "App",
    "Fault",
    "HttpAnswer",
    "PlatformApi",
    "PublishedSchema",
    "SeenRequest",
    "tiny_archive",
]
