"""Remember which release failed last, and when it may be retried."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from hsup.errors import DriverError, HsupError
from hsup.model import Release
from hsup.supervision.policy import RetryPolicy


class _FailedRelease(NamedTuple):
    """A release that is not tried before `until`; infinity means not before a user asks."""

    release: Release
    until: float
    times: int = 1
    is_told: bool = False


class LastFailure:
    """Tells whether a release may be tried now; `now` is a clock in seconds."""

    def __init__(self, policy: RetryPolicy, now: Callable[[], float]) -> None:
        self._policy = policy
        self._now = now
        self._failed: _FailedRelease | None = None

    def forget(self) -> None:
        """Allow every release to be tried."""
        self._failed = None

    def note(self, release: Release, error: HsupError) -> None:
        """Remember a failure: a driver's may pass by itself, any other lasts until a user asks."""
        if not isinstance(error, DriverError):
            self._failed = _FailedRelease(release=release, until=math.inf)
            return
        times = self._failed.times + 1 if self._failed else 1
        wait = self._policy.wait_seconds(times)
        self._failed = _FailedRelease(release=release, until=self._now() + wait, times=times)

    def wait_seconds(self, release: Release) -> float:
        """Return how long not to try a release; forget the failure of a different release."""
        failed = self._failed
        if failed is None or not _fails_like(release, failed.release):
            self._failed = None
            return 0.0
        return max(0.0, failed.until - self._now())

    def lasts(self, release: Release) -> bool:
        """Tell whether a release has failed, and is not to be tried yet."""
        failed = self._failed
        return (
            failed is not None
            and _fails_like(release, failed.release)
            and self._now() < failed.until
        )

    def is_to_be_told(self) -> bool:
        """Tell, the first time only, whether the release waits until a user asks for it."""
        if self._failed is None or self._failed.is_told or self._failed.until < math.inf:
            return False
        self._failed = self._failed._replace(is_told=True)
        return True


def _fails_like(release: Release, failed: Release) -> bool:
    """Tell whether a release is bound to fail like one that has failed.

    With another author it may succeed: that author may be allowed to read what it names.
    """
    return release.author == failed.author and release.differs_in_scale_only(failed)
