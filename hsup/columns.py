"""Know how many columns of a terminal a text takes, and make it fit."""

from __future__ import annotations

_CUT = "…"
#: The categories of marks on the character before them, and of what is not shown.
_WITHOUT_WIDTH = frozenset({"Mn", "Me", "Cf"})
#: Terminals show it, though it belongs to these.
_SOFT_HYPHEN = "\xad"


def columns(text: str) -> int:
    """Return how many columns a visible text takes: characters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def padded(text: str, width: int) -> str:
    """Return a text with blanks behind it, so that it takes a number of columns."""
    return text + " " * (width - columns(text))


def cut(text: str, width: int) -> str:
    """Return the beginning of a text, with an ellipsis if it takes more columns than `width`."""
    if columns(text) <= width:
        return text
    return _beginning(text, width - columns(_CUT)) + _CUT if width > 0 else ""


def cut_before(text: str, width: int) -> str:
    """Return the end of a text, with an ellipsis if it takes more columns than `width`."""
    if columns(text) <= width:
        return text
    return _CUT + _beginning(text[::-1], width - columns(_CUT))[::-1] if width > 0 else ""


def _beginning(text: str, width: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += columns(character)
        if taken > width:
            return text[:index]
    return text


def _columns_of(character: str) -> int:
    from unicodedata import category, east_asian_width  # slow to import, rarely needed

    if category(character) in _WITHOUT_WIDTH and character != _SOFT_HYPHEN:
        return 0
    return 2 if east_asian_width(character) in {"W", "F"} else 1
