"""The Heroku source of hsup: releases as the Platform API has them."""

from __future__ import annotations

#: The variables that hold an API key, in the order in which they are looked at.
TOKENS = ("HEROKU_ACCESS_TOKEN", "HEROKU_API_KEY")
API_URL = "HEROKU_API_URL"
DEFAULT_API_URL = "https://api.heroku.com"
#: Where what it takes to start without the API is kept.
STATE_DIR = "HSUP_HEROKU_DIR"
#: How often each thing that changes is asked for, in seconds.
CADENCE = "HSUP_HEROKU_CADENCE"
