"""When the API is asked next; pure, with chance given."""

from __future__ import annotations

from hsup_source_heroku.budget import HOURLY_LIMIT

DEFAULT_SECONDS = 10.0
#: With less than this left of what the account may ask, hsup leaves it to others.
_PLENTY = HOURLY_LIMIT // 3
#: The longest wait where requests are few, and where something is wrong.
_LONGEST_SECONDS = 300.0
#: As Heroku's own client for Go: 30 s, twice as long each time, up to 15 minutes.
_LIMITED_SECONDS, _LONGEST_LIMITED_SECONDS = 30.0, 900.0
#: What the API may ask for: its limits are those of an hour.
LONGEST_RETRY_AFTER_SECONDS = 3600.0
_JITTER = 0.25


def unchanged(seconds: float, remaining: int | None) -> float:
    """Return how long to wait after an answer, with `remaining` requests left to the account."""
    if remaining is None or remaining >= _PLENTY:
        return seconds
    return max(seconds, min(seconds * _PLENTY / max(remaining, 1), _LONGEST_SECONDS))


def failed(seconds: float, failures: int, chance: float) -> float:
    """Return how long to wait after that many failures in a row; `chance` is from 0 to 1."""
    longest = max(seconds, _LONGEST_SECONDS)
    return _jittered(min(seconds * 2.0 ** min(failures - 1, 16), longest), chance)


def limited(seconds: float, failures: int, chance: float) -> float:
    """Return how long to wait after the API's limit was reached that many times in a row."""
    doubled = _LIMITED_SECONDS * 2.0 ** min(failures - 1, 16)
    return _jittered(max(seconds, min(doubled, _LONGEST_LIMITED_SECONDS)), chance)


def asked_for(retry_after: float, chance: float) -> float:
    """Return how long to wait where the API says how long, which it may up to an hour."""
    return min(retry_after, LONGEST_RETRY_AFTER_SECONDS) * (1 + _JITTER * chance)


def _jittered(seconds: float, chance: float) -> float:
    return seconds * (1 + _JITTER * (2 * chance - 1))
