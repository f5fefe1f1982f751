r"""Print what others have written so that it can be nothing but text.

A name, a command, a path or an answer of a server may have control characters, which move a
terminal's cursor or forge a line. They are shown as `\x1b` and `\n`, in all that hsup prints
of its own: here, in its lines of the log (`hsup.output.logs`) and in its records
(`hsup.cli.diagnostics`).
What dynos write stays as it is.
"""

from __future__ import annotations

import os
import sys
from itertools import chain
from typing import Any

#: Controls, the separators of lines and paragraphs, and what turns the direction of writing,
#: which has text look like another one (Unicode Technical Report 36).
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
#: What a byte that is not UTF-8 becomes in Python (PEP 383) is shown as that byte.
_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
_SHOWN = {
    **{one: ascii(chr(one))[1:-1] for one in _UNSEEN},
    **_BYTES,
}

_STDERR = 2


def visible(text: str) -> str:
    """Return a text on one line, in which all that would do something is shown instead."""
    if text.isprintable():
        return text
    return text.translate(_SHOWN).encode(errors="backslashreplace").decode()


def tell(text: str) -> None:
    """Print a line on standard output, with what others have written made visible."""
    _print(text, is_error=False)


def warn(text: str) -> None:
    """Print a line on standard error, with what others have written made visible."""
    _print(f"hsup: {text}", is_error=True)


def say_at_once(text: str) -> None:
    """Print a line on standard error, or nothing where nobody reads; for signal handlers."""
    import select  # who is light does not need it

    try:
        if select.select([], [_STDERR], [], 0)[1]:
            os.write(_STDERR, f"hsup: {visible(text)}\n".encode())
    except OSError:  # it was closed
        pass


def warn_of(error: BaseException) -> None:
    """Print a traceback on standard error, with what others have written made visible."""
    import traceback

    for line in "".join(traceback.format_exception(error)).splitlines():
        warn(line)


def tell_json(value: Any) -> None:
    """Print a value as JSON of several lines, whose strings are ASCII."""
    import json

    _write(json.dumps(value, indent=2))


def _print(text: str, *, is_error: bool) -> None:
    _write(visible(text), is_error=is_error)


def _write(text: str, *, is_error: bool = False) -> None:
    """Write lines, without an import: there may be no descriptor for one."""
    stream = sys.stderr if is_error else sys.stdout
    if stream is not None:  # closed by whoever called hsup
        stream.write(f"{text}\n")
        stream.flush()
