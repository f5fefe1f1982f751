"""Format values in columns, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hsup.columns import columns, padded
from hsup.visible import visible


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row; a column is as wide as its longest cell."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(columns, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (padded(cell, width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
