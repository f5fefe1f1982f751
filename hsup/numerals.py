"""Read whole numbers as others have written them."""

from __future__ import annotations

#: More than any machine has of anything; a float takes 308 and int() 4300.
MOST_DIGITS = 18
_HIGHEST_PORT = 65535


def are_digits(text: str | bytes) -> bool:
    """Tell whether a text is decimal digits and nothing else, and at least one.

    Text alone would say so of digits of other scripts too, and of superscripts.
    """
    return text.isascii() and text.isdigit()


def whole_number(text: str | bytes, most_digits: int = MOST_DIGITS) -> int | None:
    """Return the number that decimal digits stand for, None for anything else or too many.

    int() takes signs, blanks and underscores as well.
    """
    return int(text) if len(text) <= most_digits and are_digits(text) else None


def port_number(text: str) -> int | None:
    """Return the number of a port, None for what is none."""
    number = whole_number(text)
    return number if number and number <= _HIGHEST_PORT else None
