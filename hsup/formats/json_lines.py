"""Format log lines for programs that read JSON."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime

from hsup.api import LogBatch
from hsup.visible import visible

#: The noncharacters (The Unicode Standard, 23.7), which I-JSON excludes.
_ENDS_OF_PLANES = (
    chr(plane + end) for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF)
)
_NONCHARACTERS = re.compile(f"[\ufdd0-\ufdef{''.join(_ENDS_OF_PLANES)}]")


class JsonFormatter:
    """One I-JSON object (RFC 7493) per line, in ASCII.

    Each has time, source, dyno, stream, app, release and message; hsup's own lines also have
    event, state, status and code, and what else they tell. Bytes that I-JSON cannot represent
    (invalid UTF-8 and noncharacters) become U+FFFD in the message, and `base64` has the original
    line.
    """

    prefix_columns = 0  # no terminal shows them as lines of a dyno

    def __init__(self, *, coloured: bool) -> None:
        del coloured  # a program reads this

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        del goes_on  # each piece of a line is an object of its own
        moment = datetime.fromtimestamp(batch.time // 1_000_000_000, UTC)
        stamp = moment.replace(microsecond=batch.time // 1000 % 1_000_000)
        fields: dict[str, object] = {
            "time": stamp.isoformat(timespec="microseconds"),
            "source": batch.source,
            "dyno": batch.dyno,
            "stream": batch.stream,
            "app": None if batch.app is None else visible(batch.app),
            "release": None if batch.release is None else f"v{batch.release}",
        }
        if batch.event is not None:
            event, state, status, code, _, facts = batch.event
            fields |= {"event": event, "state": state, "status": status, "code": code}
            fields |= {name: _passable(fact) for name, fact in facts.items()}
        head = json.dumps(fields)[:-1]
        lines = batch.lines.removesuffix(b"\n").split(b"\n")
        text = "}\n".join(f"{head}, {_message(line)}" for line in lines)
        end = ', "partial": true}\n' if batch.is_partial else "}\n"
        return f"{text}{end}".encode()


def _passable(fact: object) -> object:
    """Return a fact of a line, its texts on one line, without what I-JSON excludes."""
    match fact:
        case str():
            return visible(fact)
        case Mapping():
            return {visible(str(name)): _passable(one) for name, one in fact.items()}
        case list() | tuple():
            return [_passable(one) for one in fact]
        case _:
            return fact


def _message(line: bytes) -> str:
    """Return the JSON members for a line of arbitrary bytes."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        pass
    else:
        if text.isascii() or not _NONCHARACTERS.search(text):
            return f'"message": {json.dumps(text)}'
    shown = _NONCHARACTERS.sub("\N{REPLACEMENT CHARACTER}", line.decode(errors="replace"))
    return f'"message": {json.dumps(shown)}, "base64": "{b64encode(line).decode()}"'
