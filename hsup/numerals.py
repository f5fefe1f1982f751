"""Parse whole numbers strictly."""

from __future__ import annotations

#: Enough for any quantity of a machine; float() takes 308 digits and int() 4300.
MOST_DIGITS = 18
HIGHEST_PORT = 65535
#: What is wrong with a config var PORT that is none; its value may be a secret.
PORT_PROBLEM = f"must be a number from 1 to {HIGHEST_PORT}"


def are_digits(text: str | bytes) -> bool:
    """Tell whether a text consists of one or more decimal digits 0 to 9.

    `str.isdigit` alone also accepts digits of other scripts and superscripts.
    """
    return text.isascii() and text.isdigit()


def whole_number(text: str | bytes, most_digits: int = MOST_DIGITS) -> int | None:
    """Return the number that decimal digits spell, None for other text or too many digits.

    int() also accepts signs, blanks and underscores.
    """
    return int(text) if len(text) <= most_digits and are_digits(text) else None


def port_number(text: str) -> int | None:
    """Return the number of a port, None for a text that is not one."""
    number = whole_number(text)
    return number if number and number <= HIGHEST_PORT else None


#: The letters of all units: of bytes, seconds, minutes, hours and days.
_UNITS = "KMGTsmhd"


def amount(text: str) -> tuple[int | None, str]:
    """Split `20G` into its number, None if there is none, and its unit."""
    digits = text.rstrip(_UNITS)
    return whole_number(digits), text[len(digits) :]
