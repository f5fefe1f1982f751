"""What can go wrong between hsup and the Platform API."""

from __future__ import annotations

from hsup.errors import SourceError


class ApiError(SourceError):
    """The API gave no answer that is of use; `retry_after` is how many seconds it asks to wait.

    One that `is_for_all` would be the same for any other request.
    """

    is_for_all = False

    def __init__(
        self, text: str, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(text, hint=hint)
        self.retry_after = retry_after


class BrokenAnswer(ApiError):
    """The answer is not one of the API's."""


class Unreachable(ApiError):
    """There is no connection to the API."""

    is_for_all = True


class NotFound(ApiError):
    """There is no such thing."""


class Unauthorized(ApiError):
    """The key is none, or not one to this application, or there is no such application."""

    is_for_all = True


class RateLimited(ApiError):
    """The account has asked too much."""

    is_for_all = True


class OverBudget(RateLimited):
    """So much was asked within an hour that hsup waits before it asks more."""
