r"""Print text from others with its control characters made visible.

A name, a command, a path or an answer of a server may contain control characters, which move
a terminal's cursor or forge a line. They are shown as `\x1b` and `\n` in everything that hsup
itself prints: here, in its log lines (`hsup.output.logs`) and in its log records
(`hsup.cli.diagnostics`). The output of dynos is not changed.
"""

from __future__ import annotations

import os
import sys
from itertools import chain
from typing import Any

#: Control characters, the separators of lines and paragraphs, and those that change the writing
#: direction, which make a text look like another one (Unicode Technical Report 36).
_UNSEEN = chain(
    range(0x20),
    range(0x7F, 0xA0),
    (0x61C, 0x200E, 0x200F),
    range(0x2028, 0x202F),
    range(0x2066, 0x206A),
    (0xFEFF,),
    range(0xFDD0, 0xFDF0),  # noncharacters, as the last two of each plane are
    *((plane + 0xFFFE, plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000)),
)
#: A surrogate that stands for a byte that is not UTF-8 (PEP 383) is shown as that byte.
_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
_SHOWN = {
    **{point: ascii(chr(point))[1:-1] for point in _UNSEEN},
    **_BYTES,
}

_STDERR = 2


def visible(text: str) -> str:
    """Return a text on one line, with its control characters made visible."""
    if text.isprintable():
        return text
    return text.translate(_SHOWN).encode(errors="backslashreplace").decode()


def tell(text: str) -> None:
    """Print a line on standard output, with control characters made visible."""
    _print(text, is_error=False)


def warn(text: str) -> None:
    """Print a line on standard error, with control characters made visible."""
    _print(f"hsup: {text}", is_error=True)


def say_at_once(text: str) -> None:
    """Print a line on standard error unless that would block; for signal handlers."""
    import select  # only here: importing it takes time that most runs can save

    try:
        if select.select([], [_STDERR], [], 0)[1]:
            os.write(_STDERR, f"hsup: {visible(text)}\n".encode())
    except OSError:  # it was closed
        pass


def warn_of(error: BaseException) -> None:
    """Print a traceback on standard error, with control characters made visible."""
    import traceback

    for line in "".join(traceback.format_exception(error)).splitlines():
        warn(line)


def tell_json(value: Any) -> None:
    """Print a value as indented JSON in ASCII."""
    import json

    _write(json.dumps(value, indent=2))


def _print(text: str, *, is_error: bool) -> None:
    _write(visible(text), is_error=is_error)


def _write(text: str, *, is_error: bool = False) -> None:
    """Write lines without importing anything: there may be no descriptor left for that."""
    stream = sys.stderr if is_error else sys.stdout
    if stream is not None:  # closed by whoever called hsup
        stream.write(f"{text}\n")
        stream.flush()
