"""The errors of requests to the Platform API."""

from __future__ import annotations

from hsup.errors import SourceError
from hsup_source_heroku import API_URL


class ApiError(SourceError):
    """A request failed; `retry_after` is for how many seconds the API asks to wait.

    An error that `is_for_all` would be the same for any other request.
    """

    is_for_all = False

    def __init__(
        self, text: str, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(text, hint=hint)
        self.retry_after = retry_after


class BrokenAnswer(ApiError):
    """The answer is malformed, as of a server that is not the API."""

    def __init__(self, text: str) -> None:
        super().__init__(text, hint=f"check that {API_URL}, if set, is the URL of the API")


class Unreachable(ApiError):
    """The API cannot be reached."""

    is_for_all = True


class NotFound(ApiError):
    """The resource does not exist."""


class Unauthorized(ApiError):
    """The key is invalid or gives no access to the application, or there is no such application."""

    is_for_all = True


class RateLimited(ApiError):
    """The account has sent too many requests."""

    is_for_all = True


class OverBudget(RateLimited):
    """hsup has sent as many requests within an hour as it allows itself."""
