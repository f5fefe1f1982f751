"""How many requests hsup may send; pure, with the time given."""

from __future__ import annotations

from collections import deque

#: What the platform allows an account (Platform API reference, "Rate limits").
HOURLY_LIMIT = 4500
_HOUR_SECONDS = 3600.0


class Budget:
    """At most a third of what an account has, in any hour."""

    def __init__(self, hourly: int = HOURLY_LIMIT // 3) -> None:
        self._sent: deque[float] = deque(maxlen=hourly)
        self._hourly = hourly

    def wait_seconds(self, now: float) -> float:
        """Return how long nothing may be sent."""
        if len(self._sent) < self._hourly:
            return 0.0
        return max(0.0, self._sent[0] + _HOUR_SECONDS - now)

    def spend(self, now: float) -> None:
        """Count a request."""
        self._sent.append(now)
