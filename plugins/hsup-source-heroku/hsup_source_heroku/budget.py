"""The number of requests that hsup may send; pure, with the time as an argument."""

from __future__ import annotations

from collections import deque

#: The limit of an account (Platform API reference, "Rate limits").
HOURLY_LIMIT = 4500
_HOUR_SECONDS = 3600.0


class Budget:
    """A limit of requests in any hour; by default, a third of that of an account."""

    def __init__(self, hourly: int = HOURLY_LIMIT // 3) -> None:
        self._sent: deque[float] = deque(maxlen=hourly)
        self._hourly = hourly

    def wait_seconds(self, now: float) -> float:
        """Return for how many seconds no request may be sent."""
        if len(self._sent) < self._hourly:
            return 0.0
        return max(0.0, self._sent[0] + _HOUR_SECONDS - now)

    def spend(self, now: float) -> None:
        """Count a request that is sent now."""
        self._sent.append(now)
