"""The delays between requests; pure, with chance as an argument."""

from __future__ import annotations

from hsup_source_heroku.budget import HOURLY_LIMIT

DEFAULT_SECONDS = 10.0
#: If the account has fewer requests left than this, hsup slows down, and leaves them to others.
_PLENTY = HOURLY_LIMIT // 3
#: The longest delay if few requests are left, or after failures.
_LONGEST_SECONDS = 300.0
#: As in Heroku's own client for Go: 30 s, doubled each time, up to 15 minutes.
_LIMITED_SECONDS, _LONGEST_LIMITED_SECONDS = 30.0, 900.0
#: The longest delay that the API may ask for, as its limits are per hour.
LONGEST_RETRY_AFTER_SECONDS = 3600.0
_JITTER = 0.25


def unchanged(seconds: float, remaining: int | None) -> float:
    """Return the delay after an answer, with `remaining` requests left to the account."""
    if remaining is None or remaining >= _PLENTY:
        return seconds
    return max(seconds, min(seconds * _PLENTY / max(remaining, 1), _LONGEST_SECONDS))


def failed(seconds: float, failures: int, chance: float) -> float:
    """Return the delay after a number of failures in a row; `chance` is from 0 to 1."""
    longest = max(seconds, _LONGEST_SECONDS)
    return _jittered(min(seconds * 2.0 ** min(failures - 1, 16), longest), chance)


def limited(seconds: float, failures: int, chance: float) -> float:
    """Return the delay after the API's limit was reached a number of times in a row."""
    doubled = _LIMITED_SECONDS * 2.0 ** min(failures - 1, 16)
    return _jittered(max(seconds, min(doubled, _LONGEST_LIMITED_SECONDS)), chance)


def asked_for(retry_after: float, chance: float) -> float:
    """Return the delay that the API has asked for, an hour at most."""
    return min(retry_after, LONGEST_RETRY_AFTER_SECONDS) * (1 + _JITTER * chance)


def _jittered(seconds: float, chance: float) -> float:
    return seconds * (1 + _JITTER * (2 * chance - 1))
