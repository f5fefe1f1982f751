"""Split the text of a batch into its lines."""

from __future__ import annotations


def split_lines(text: bytes) -> list[bytes]:
    """Return lines without their newlines, which the last one may lack."""
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines
