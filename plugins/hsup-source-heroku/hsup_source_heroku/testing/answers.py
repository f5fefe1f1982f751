"""The answers of the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

_MESSAGES = {
    401: ("unauthorized", "Invalid credentials provided."),
    403: ("forbidden", "You do not have access to that."),
    404: ("not_found", "Couldn't find that app."),
    416: ("bad_range", "Cannot read that range."),
    429: ("rate_limit", "Your account reached the API rate limit."),
    500: ("internal_server_error", "Internal server error."),
    503: ("service_unavailable", "The API is temporarily unavailable."),
}


class Headers(Protocol):
    """The headers of a request; over HTTP, their names may be in any case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer; only the first half of a body that is cut is sent.

    With a pause, the body is sent byte by byte.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False
    pause_seconds: float = 0.0


#: Turns a correct answer into a wrong one, or into None for no answer.
Fault = Callable[[HttpAnswer], HttpAnswer | None]


def in_json(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """Return an answer with JSON."""
    body = json.dumps(content).encode()
    return HttpAnswer(status, body, {"Content-Type": "application/json", **(headers or {})})


def error(status: int, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    """Return the platform's error for a status."""
    name, message = _MESSAGES.get(status, ("error", f"Status {status}."))
    return in_json({"id": name, "message": message}, status, headers)


def not_found(resource: str) -> HttpAnswer:
    """Return the platform's error for a resource that does not exist."""
    return in_json({"id": "not_found", "message": f"Couldn't find that {resource}."}, 404)
