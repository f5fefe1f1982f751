"""What an engine tells of containers, line by line (ContainerEvents in the Engine API)."""

from __future__ import annotations

import json
from typing import NamedTuple

#: A container had no memory left; its program has ended.
OUT_OF_MEMORY, ENDED = "oom", "die"


class Event(NamedTuple):
    """What happened to a container; `code` is that of a program that has ended."""

    what: str
    container: str
    code: int | None


class Lines:
    """Turns pieces of what the engine tells into events."""

    def __init__(self, first: bytes = b"") -> None:
        self._rest = first

    def feed(self, data: bytes) -> list[Event]:
        """Return what the lines that are whole now tell."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [_event(line) for line in whole if line.strip()]


def _event(line: bytes) -> Event:
    told = json.loads(line)
    actor = told["Actor"]
    code = actor.get("Attributes", {}).get("exitCode")
    return Event(told["Action"], actor["ID"], None if code is None else int(code))
