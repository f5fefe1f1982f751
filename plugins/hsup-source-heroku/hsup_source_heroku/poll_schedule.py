"""When releases, formation and drains are asked for; pure, with the time as an argument."""

from __future__ import annotations

from hsup_source_heroku import cadence
from hsup_source_heroku.errors import ApiError, RateLimited

#: What is asked for: each can change without the other.
RELEASES, FORMATION, DRAINS = "releases", "formation", "drains"
#: Drains change rarely: once a minute by default.
_DRAINS_PERIODS = 6


class PollSchedule:
    """Asks for releases and formation once in `seconds` each, half of that apart.

    Drains, if they are followed, are asked for more rarely. After a failure, one of them has a
    growing back-off, which does not delay the others. Times are in seconds of any clock.
    """

    def __init__(self, seconds: float, now: float, *, follows_drains: bool = False) -> None:
        self._seconds = {RELEASES: seconds, FORMATION: seconds}
        self._due = {RELEASES: now + seconds, FORMATION: now + seconds / 2}
        if follows_drains:
            self._seconds[DRAINS] = seconds * _DRAINS_PERIODS
            self._due[DRAINS] = now + self._seconds[DRAINS]
        self._failures: dict[str, int] = {}

    @property
    def has_trouble(self) -> bool:
        """Tell whether the last request for releases or formation has failed."""
        return any(thing != DRAINS for thing in self._failures)

    def has_failed(self, thing: str) -> bool:
        """Tell whether the last request for one of them has failed."""
        return thing in self._failures

    def next(self) -> str:
        """Return which one is due first."""
        return min(self._due, key=self._due.__getitem__)

    def wait_seconds(self, now: float) -> float:
        """Return for how many seconds none is due."""
        return max(0.0, min(self._due.values()) - now)

    def answered(self, thing: str, asked_at: float, remaining: int | None) -> None:
        """Take note of an answer; `remaining` is how many requests the account has left."""
        self._failures.pop(thing, None)
        self._due[thing] = asked_at + cadence.unchanged(self._seconds[thing], remaining)

    def skip_others(self) -> None:
        """Delay all others until the releases were asked for again."""
        later = self._due[RELEASES] + self._seconds[RELEASES] / 2
        self._due |= dict.fromkeys(self._due.keys() - {RELEASES}, later)

    def failed(self, thing: str, error: ApiError, now: float, chance: float) -> None:
        """Take note of a failure; `chance` is from 0 to 1."""
        failures = self._failures[thing] = self._failures.get(thing, 0) + 1
        wait_for = cadence.limited if isinstance(error, RateLimited) else cadence.failed
        wait = wait_for(self._seconds[thing], failures, chance)
        if error.retry_after is not None:
            wait = max(wait, cadence.asked_for(error.retry_after, chance))
        self._due[thing] = now + wait
        if error.is_for_all and thing != DRAINS:  # the key may have no right to these alone
            self._due = {name: max(due, now + wait) for name, due in self._due.items()}
