"""Duplicates of descriptors, which outlive those of the caller."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack


def duplicate(descriptors: Iterable[int]) -> list[int]:
    """Duplicate all descriptors, or none of them. Raises OSError."""
    copies: list[int] = []
    with ExitStack() as undo:
        for one in descriptors:
            copy = os.dup(one)
            undo.callback(os.close, copy)
            copies.append(copy)
        undo.pop_all()
    return copies
