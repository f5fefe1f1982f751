"""Turn docstrings as this project writes them into reStructuredText.

They are plain text: paragraphs, names in single backticks, and code set in by four blanks
after an empty line. Sphinx needs a `::` before such code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_INDENT = "    "
#: What Python says of a field of a named tuple.
_ALIAS = "Alias for field number"


def to_restructured_text(
    _app: object, _kind: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Mark the code of a docstring; called by autodoc, which uses `lines` afterwards."""
    lines[:] = with_marked_code(line for line in lines if not line.startswith(_ALIAS))


def leave_out_signature(
    _app: object, kind: str, _name: str, described: object, *_: object
) -> tuple[str, None] | None:
    """Give a Protocol no signature, as nobody makes one; called by autodoc."""
    is_protocol = kind == "class" and getattr(described, "_is_protocol", False)
    return ("", None) if is_protocol else None


def with_marked_code(docstring: Iterable[str]) -> list[str]:
    """Return the lines with `::` before each block of code."""
    lines = list(docstring)
    marked: list[str] = []
    is_code = False
    for number, line in enumerate(lines):
        begins = line.startswith(_INDENT) and not is_code and not _has_text(lines, number - 1)
        if begins:
            marked += ["::", ""]
        is_code = begins or (is_code and (not line.strip() or line.startswith(_INDENT)))
        marked.append(line)
    return marked


def _has_text(lines: Sequence[str], number: int) -> bool:
    return number >= 0 and bool(lines[number].strip())
