"""The order of versions."""

from __future__ import annotations

import re

Ordered = tuple[tuple[int, int, str], ...]

_PIECE = re.compile(r"[0-9]+|[a-z]+", re.IGNORECASE)


def ordered(version: str | None) -> Ordered:
    """Return a key that sorts versions by their numbers: 1.9 < 1.10, 24.v99 < 24.v123.

    A word is less than a number in its place, and no version is less than any other.
    """
    return tuple(_rank(piece) for piece in _PIECE.findall(version or ""))


def _rank(piece: str) -> tuple[int, int, str]:
    return (1, int(piece), "") if piece.isdigit() else (0, 0, piece.lower())
