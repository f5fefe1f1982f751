"""The events of containers, as an engine streams them (SystemEvents in the Engine API)."""

from __future__ import annotations

import json
from typing import NamedTuple

#: The memory of a container was used up; its program has ended.
OUT_OF_MEMORY, ENDED = "oom", "die"


class Event(NamedTuple):
    """An event of a container; `code` is the exit status of a program that has ended."""

    what: str
    container: str
    code: int | None


class Lines:
    """Turns pieces of the stream into events."""

    def __init__(self, first: bytes = b"") -> None:
        self._rest = first

    def feed(self, data: bytes) -> list[Event]:
        """Return the events whose lines are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [_event(line) for line in whole if line.strip()]


def _event(line: bytes) -> Event:
    event = json.loads(line)
    actor = event["Actor"]
    code = actor.get("Attributes", {}).get("exitCode")
    return Event(event["Action"], actor["ID"], None if code is None else int(code))
