"""When releases and formation are asked for; pure, with the time as an argument."""

from __future__ import annotations

from hsup_source_heroku import cadence
from hsup_source_heroku.errors import ApiError, RateLimited

#: What is asked for: each can change without the other.
RELEASES, FORMATION = "releases", "formation"


class PollSchedule:
    """Asks for releases and formation once in `seconds` each, half of that apart.

    After a failure, one of them has a growing back-off, which does not delay the other. Times
    are in seconds of any clock.
    """

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._due = {RELEASES: now + seconds, FORMATION: now + seconds / 2}
        self._failures: dict[str, int] = {}

    @property
    def has_trouble(self) -> bool:
        """Tell whether the last request for either has failed."""
        return bool(self._failures)

    def next(self) -> str:
        """Return which one is due first."""
        return min(self._due, key=self._due.__getitem__)

    def wait_seconds(self, now: float) -> float:
        """Return for how many seconds neither is due."""
        return max(0.0, min(self._due.values()) - now)

    def answered(self, thing: str, asked_at: float, remaining: int | None) -> None:
        """Take note of an answer; `remaining` is how many requests the account has left."""
        self._failures.pop(thing, None)
        self._due[thing] = asked_at + cadence.unchanged(self._seconds, remaining)

    def skip_formation(self) -> None:
        """Delay the formation until the releases were asked for again."""
        self._due[FORMATION] = self._due[RELEASES] + self._seconds / 2

    def failed(self, thing: str, error: ApiError, now: float, chance: float) -> None:
        """Take note of a failure; `chance` is from 0 to 1."""
        failures = self._failures[thing] = self._failures.get(thing, 0) + 1
        wait_for = cadence.limited if isinstance(error, RateLimited) else cadence.failed
        wait = wait_for(self._seconds, failures, chance)
        if error.retry_after is not None:
            wait = max(wait, cadence.asked_for(error.retry_after, chance))
        self._due[thing] = now + wait
        if error.is_for_all:
            self._due = {name: max(due, now + wait) for name, due in self._due.items()}
