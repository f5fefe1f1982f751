"""Read the numbers of a tar archive's headers."""

from __future__ import annotations

from hsup.archives.errors import SlugError
from hsup.numerals import are_digits, whole_number

MAKE_AGAIN = "create or download the archive again"

#: The range of time_t in seconds; file systems have smaller ones.
_EARLIEST, _LATEST = -(1 << 63), (1 << 63) - 1
#: Digits of a number; 2^63 has 19.
_MAX_DIGITS = 20
_BINARY, _NEGATIVE_BINARY = 0x80, 0xFF


def integer(field: bytes) -> int:
    """Return a number: octal, or binary after a byte of 0x80 (GNU, star); -1 if malformed."""
    digits = field.partition(b"\0")[0].strip(b" ")
    if are_digits(digits):
        try:
            return int(digits, 8)
        except ValueError:
            return -1
    if field[0] == _BINARY:
        return int.from_bytes(field[1:], "big")
    return -1 if digits else 0


def seconds(field: bytes) -> int:
    """Return a time, which may be before 1970. Raises SlugError."""
    if field[0] == _NEGATIVE_BINARY:
        return max(int.from_bytes(field, "big", signed=True), _EARLIEST)
    number = integer(field)
    if number < 0:
        raise damaged()
    return min(number, _LATEST)


def decimal(value: bytes) -> int:
    """Return a number in an extended header. Raises SlugError."""
    number = whole_number(value, _MAX_DIGITS)
    if number is None:
        raise damaged_extension()
    return number


def decimal_seconds(value: bytes) -> int:
    """Return the whole seconds of an extended header's time, rounded down. Raises SlugError."""
    is_negative = value.startswith(b"-")
    whole, _, fraction = value[is_negative:].partition(b".")
    number = decimal(whole)
    if is_negative:
        return max(-number - bool(fraction.strip(b"0")), _EARLIEST)
    return min(number, _LATEST)


def damaged() -> SlugError:
    """Return the error for a malformed number."""
    return SlugError("a number in a header of the archive is damaged", hint=MAKE_AGAIN)


def damaged_extension() -> SlugError:
    """Return the error for a malformed extended header."""
    return SlugError("an extended header of the archive is damaged", hint=MAKE_AGAIN)
