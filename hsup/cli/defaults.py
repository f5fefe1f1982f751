"""What the shared options take, what they are without a value, and their variables."""

from __future__ import annotations

from hsup.numerals import HIGHEST_PORT
from hsup.supervision.ports import AUTO

DEFAULT_DRIVER = "simple"
#: The grace period of the platform: the time between SIGTERM and SIGKILL.
DEFAULT_GRACE_SECONDS = 30.0
#: What `--port` and `--grace` take, for messages.
PORTS = f'"{AUTO}" or a number from 1 to {HIGHEST_PORT}'
SECONDS = "a number of seconds, 0 or more"
#: Where someone reads, and anywhere else.
#: As many as the platform remembers of an application.
DEFAULT_HISTORY_LINES = 1500
SCREEN_FORMAT, DEFAULT_LOG_FORMAT = "screen", "heroku"
LOG_FORMATS = (SCREEN_FORMAT, "heroku", "plain", "json", "raw", "none")
#: The options that say how lines look, by what the format for the screen calls it.
LOOKS = {"has_prefix": "prefix", "has_times": "timestamps"}

#: The variable by which a shell asks for completions.
COMPLETION = "_HSUP_COMPLETE"

#: The variable of each option that commands share, of each one of `hsup start`, and that one.
VARIABLES = frozenset(
    {
        "HSUP_APP",
        "HSUP_DRIVER",
        "HSUP_SOURCE",
        "HSUP_PROCFILE",
        "HSUP_ENV_FILE",
        "HSUP_EXPAND_ENV",
        "HSUP_ROOT",
        "HSUP_CLEAN_ENV",
        "HSUP_PASS_ENV",
        "HSUP_PORT",
        "HSUP_FORMATION",
        "HSUP_ONESHOT",
        "HSUP_START_NUMBER",
        "HSUP_CONTROL_SOCKET",
        "HSUP_LOGPLEX_URL",
        "HSUP_DRAIN",
        "HSUP_FOLLOW_DRAINS",
        "HSUP_BIND",
        "HSUP_SIZE",
        "HSUP_DYNO_METADATA",
        "HSUP_GRACE",
        "HSUP_LOG_FORMAT",
        "HSUP_VERBOSE",
        "HSUP_QUANTITIES",
        "HSUP_STAY",
        "HSUP_ABORT_ON_EXIT",
        "HSUP_EXIT_CODE_FROM",
        "HSUP_STDIN",
        "HSUP_TTY",
        "HSUP_ONLY",
        "HSUP_PREFIX",
        "HSUP_TIMESTAMPS",
        "HSUP_RUNTIME_METRICS",
        "HSUP_LOG_HISTORY",
        COMPLETION,
    }
)
