"""Parse the quantities and sizes for `hsup start`: `web=2:standard-2x worker`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hsup.errors import UsageError
from hsup.numerals import are_digits, whole_number

#: More dynos of one type than any machine runs: a larger number is a typing mistake.
_MOST_DYNOS = 10_000


def parse_types(words: Iterable[str]) -> Mapping[str, tuple[int, str | None]]:
    """Return quantities and sizes by type. Raises UsageError."""
    asked: dict[str, tuple[int, str | None]] = {}
    for word in words:
        name, equals, rest = word.partition("=")
        number, colon, size = rest.partition(":")
        if not name:
            raise UsageError(f'"{word}": the process type is missing, as in web=2')
        if colon and not size:
            raise UsageError(f'"{word}": the size is missing, as in web=2:standard-2x')
        if name in asked:
            raise UsageError(f'"{word}": process type "{name}" was already given')
        asked[name] = (_parse_quantity(word, number) if equals else 1, size or None)
    return asked


def _parse_quantity(word: str, number: str) -> int:
    if not are_digits(number):
        text = f'"{word}": the quantity must be a whole number, 0 or more, got "{number}"'
        raise UsageError(text)
    quantity = whole_number(number.lstrip("0") or "0")
    if quantity is None or quantity > _MOST_DYNOS:
        raise UsageError(f'"{word}": the quantity must be at most {_MOST_DYNOS}')
    return quantity
