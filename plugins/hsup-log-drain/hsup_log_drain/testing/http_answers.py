"""What a receiver does with a request: an answer, or a fault."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Reading(Enum):
    """How much of a request is read before it is answered."""

    ALL = "all"
    HEAD = "head"
    NOTHING = "nothing"


class Ending(Enum):
    """What happens to the connection after an answer."""

    KEEP = "keep"
    CLOSE = "close"
    #: Nothing more is written, but reading goes on.
    HALF_CLOSE = "half_close"
    #: Nothing happens until the receiver stops.
    HANG = "hang"


class HttpAnswer(NamedTuple):
    """What is sent: `data`, then `filling` so many times. It waits for `gate`, if there is one.

    There are `pause_seconds` between any two bytes of the data.
    """

    data: bytes = b""
    filling: bytes = b""
    times: int = 0
    pause_seconds: float = 0.0
    reading: Reading = Reading.ALL
    ending: Ending = Ending.KEEP
    gate: threading.Event | None = None


def status(number: int, body: bytes = b"", headers: Mapping[str, str] = _NO_HEADERS) -> HttpAnswer:
    """Return an answer as servers give it."""
    lines = [f"HTTP/1.1 {number} {HTTPStatus(number).phrase}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return HttpAnswer("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body)


#: What is answered unless something else is asked for.
OK = status(200, b"ok")
