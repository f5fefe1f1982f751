"""Turn docstrings as this project writes them into reStructuredText.

They are plain text: paragraphs, names in single backticks, and code set in by four blanks
after an empty line. Sphinx needs a `::` before such code.
"""

from __future__ import annotations

from collections.abc import Sequence

_INDENT = "    "


def to_restructured_text(
    _app: object, _kind: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Mark the code of a docstring; called by autodoc, which uses `lines` afterwards."""
    lines[:] = with_marked_code(lines)


def with_marked_code(lines: Sequence[str]) -> list[str]:
    """Return the lines with `::` before each block of code."""
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
