"""Compute delays before restarts and retries; pure, with time and chance as arguments."""

from __future__ import annotations

from typing import NamedTuple


class CrashPolicy(NamedTuple):
    """Restarts a crashed dyno at once the first time, then after growing delays.

    The second restart in a row is delayed by `base_seconds`, each later one
    twice as long as the one before, up to `cap_seconds`. `jitter` is the
    fraction by which a delay may be shorter or longer, so that dynos that
    crashed together do not restart together. A dyno that was up for
    `stable_seconds` counts as recovered.
    """

    base_seconds: float = 1.0
    cap_seconds: float = 300.0
    jitter: float = 0.25
    stable_seconds: float = 60.0

    def crashes_in_a_row(self, before: int, up_seconds: float) -> int:
        """Return the count including a crash after `up_seconds`, from the count before it."""
        return 1 if up_seconds >= self.stable_seconds else before + 1

    def wait_seconds(self, crashes: int, chance: float) -> float:
        """Return the delay after that many crashes in a row; `chance` is from 0 to 1."""
        if crashes <= 1:
            return 0.0
        wait = _doubled(self.base_seconds, crashes - 2, self.cap_seconds)
        return wait * (1 + self.jitter * (2 * chance - 1))


class RetryPolicy(NamedTuple):
    """Retries what a source, a driver or a disk could not do, less and less often.

    The first delay is `base_seconds`, each later one twice as long as the one
    before, up to `cap_seconds`.
    """

    base_seconds: float = 10.0
    cap_seconds: float = 300.0

    def wait_seconds(self, failures: int = 1) -> float:
        """Return the delay after that many failures in a row."""
        return _doubled(self.base_seconds, failures - 1, self.cap_seconds)


def _doubled(seconds: float, times: int, most_seconds: float) -> float:
    return min(seconds * 2.0 ** min(times, 64), most_seconds)
