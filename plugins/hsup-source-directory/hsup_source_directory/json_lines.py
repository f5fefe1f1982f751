"""Find the lines of the values in a JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

#: The keys and indexes that lead to a value: `("Processes", 0, "Type")`.
JsonPath = tuple[str | int, ...]

# Possessive, as a repetition with backtracking takes memory for every character.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + r'|[{}\[\],]|[^\s{}\[\],:"]+', re.DOTALL)


# For each open bracket: an index, a key, or None if a key comes next.
_Steps = list[str | int | None]


def lines_of(text: str, wanted: Collection[JsonPath]) -> dict[JsonPath, int]:
    """Return the lines, counted from 1, of the wanted values.

    `text` must be valid JSON. The line of a member of an object is that of its
    key. Of members with the same key, the last one counts, as for their value.
    """
    deepest = max(map(len, wanted), default=0)
    lines: dict[JsonPath, int] = {}
    steps: _Steps = []
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        if _enter(steps, token[0]) and len(steps) <= deepest:
            path = tuple(step for step in steps if step is not None)
            if path in wanted:
                lines[path] = line
        _pass(steps, token[0])
    return lines


def _enter(steps: _Steps, token: str) -> bool:
    """Step to the member or the element that the token begins, if it begins one."""
    if not steps or token[0] in ",]}":
        return False
    if steps[-1] is None:
        steps[-1] = json.loads(token)
        return True
    return isinstance(steps[-1], int)


def _pass(steps: _Steps, token: str) -> None:
    """Step into a bracket, out of it, or past a comma."""
    match token:
        case "{":
            steps.append(None)
        case "[":
            steps.append(0)
        case "}" | "]":
            steps.pop()
        case ",":
            last = steps[-1]
            steps[-1] = last + 1 if isinstance(last, int) else None
