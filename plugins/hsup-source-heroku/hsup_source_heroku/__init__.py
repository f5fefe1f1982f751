"""The Heroku source of hsup: the releases of an application in the Platform API."""

from __future__ import annotations

#: The environment variables with an API key; the first one that is set takes precedence.
TOKENS = ("HEROKU_ACCESS_TOKEN", "HEROKU_API_KEY")
#: How to get a key, for hints.
CREATE_KEY = "create one with heroku authorizations:create"
API_URL = "HEROKU_API_URL"
DEFAULT_API_URL = "https://api.heroku.com"
#: Names the directory of what hsup needs to start while the API cannot be reached.
STATE_DIR = "HSUP_HEROKU_DIR"
#: Sets how often releases and formation are each asked for, in seconds.
CADENCE = "HSUP_HEROKU_CADENCE"
