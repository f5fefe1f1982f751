"""Find the lines that the values of a JSON text are on."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

#: The keys and indexes that lead to a value: `("Processes", 0, "Type")`.
JsonPath = tuple[str | int, ...]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]|[^\s{}\[\],:"]+', re.DOTALL)


def lines_of(text: str, wanted: Collection[JsonPath]) -> dict[JsonPath, int]:
    """Return the lines, counted from 1, that the wanted values are on.

    `text` must be valid JSON. A member of an object is where its key is; of
    those with the same key, the last one counts, as it does for its value.
    """
    lines: dict[JsonPath, int] = {}
    # For each open bracket an index, or a key, or None where a key comes next.
    path: list[str | int | None] = []
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        if _enter(path, token[0]) and (found := _known(path)) in wanted:
            lines[found] = line
        _leave(path, token[0])
    return lines


def _enter(path: list[str | int | None], token: str) -> bool:
    """Step to the member or the element that the token begins, if it begins one."""
    if not path or token in {",", "]", "}"}:
        return False
    if path[-1] is None:
        path[-1] = json.loads(token)
        return True
    return isinstance(path[-1], int)


def _leave(path: list[str | int | None], token: str) -> None:
    """Step into a bracket, out of it, or past a comma."""
    if token == "{":
        path.append(None)
    elif token == "[":
        path.append(0)
    elif token in {"}", "]"}:
        path.pop()
    elif token == ",":
        last = path[-1]
        path[-1] = last + 1 if isinstance(last, int) else None


def _known(path: list[str | int | None]) -> JsonPath:
    return tuple(step for step in path if step is not None)
