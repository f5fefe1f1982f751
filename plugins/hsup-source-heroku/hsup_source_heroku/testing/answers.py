"""What the server sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

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
    """The headers of a request; those that came over HTTP have their names in any case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header."""


class Answer(NamedTuple):
    """What is sent; of a body that is cut, only the first half.

    With a pause, one byte is sent after the other.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    is_cut: bool = False
    pause_seconds: float = 0.0


#: Makes of the right answer the wrong one, None for no answer at all.
Fault = Callable[[Answer], Answer | None]


def in_json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with a content."""
    body = json.dumps(content).encode()
    return Answer(status, body, {"Content-Type": "application/json", **(headers or {})})


def error(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Return what the platform says with a status."""
    name, message = _MESSAGES.get(status, ("error", f"Status {status}."))
    return in_json({"id": name, "message": message}, status, headers)


def not_found(resource: str) -> Answer:
    """Return what the platform says where there is no such thing."""
    return in_json({"id": "not_found", "message": f"Couldn't find that {resource}."}, 404)
