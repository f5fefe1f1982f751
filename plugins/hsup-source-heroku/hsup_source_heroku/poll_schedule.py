"""Which of the things that change is asked for next, and when; pure, with time given."""

from __future__ import annotations

from hsup_source_heroku import cadence
from hsup_source_heroku.errors import ApiError, RateLimited

#: What an application has of which each may change without the other.
RELEASES, FORMATION = "releases", "formation"


class PollSchedule:
    """Each thing once in `seconds`, the two of them half of that apart.

    One that could not be had waits longer and longer, and the other does not wait for it.
    Times are in seconds, of any clock.
    """

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._due = {RELEASES: now + seconds, FORMATION: now + seconds / 2}
        self._failures: dict[str, int] = {}

    @property
    def has_trouble(self) -> bool:
        """Tell whether a thing could not be had the last time."""
        return bool(self._failures)

    def next(self) -> str:
        """Return what is due first."""
        return min(self._due, key=self._due.__getitem__)

    def wait_seconds(self, now: float) -> float:
        """Return how long nothing is due."""
        return max(0.0, min(self._due.values()) - now)

    def answered(self, thing: str, asked_at: float, remaining: int | None) -> None:
        """Take note of an answer; `remaining` is what the account may still ask."""
        self._failures.pop(thing, None)
        self._due[thing] = asked_at + cadence.unchanged(self._seconds, remaining)

    def skip_formation(self) -> None:
        """Have the formation wait until the releases were asked for again."""
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
