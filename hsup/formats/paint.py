"""Put prefixes before lines, and colours into prefixes."""

from __future__ import annotations

from hsup.api import LogBatch

#: Cyan, yellow, green, magenta, blue and their bright variants: no red, no grey.
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_HSUP_COLOUR = 90


class Paint:
    """Assigns each dyno a colour, in the order of their first lines."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}

    def __call__(self, batch: LogBatch, prefix: bytes) -> bytes:
        """Return a prefix in the colour of the batch's dyno."""
        colour = _HSUP_COLOUR
        if batch.event is None:
            used = len(self._colours)
            colour = self._colours.setdefault(batch.dyno, _COLOURS[used % len(_COLOURS)])
        return b"\x1b[%dm%b\x1b[0m" % (colour, prefix)


def prefixed(prefix: bytes, batch: LogBatch, *, goes_on: bool) -> bytes:
    """Put a prefix before every line, in as few passes over the bytes as possible.

    If `goes_on` is set, the batch continues a line that has its prefix already.
    """
    lines = batch.lines
    if not (batch.is_partial or lines.endswith(b"\n")):
        lines += b"\n"
    marked = lines.replace(b"\n", b"\n" + prefix)
    end = len(marked) - len(prefix) if lines.endswith(b"\n") else len(marked)
    return b"".join((b"" if goes_on else prefix, memoryview(marked)[:end]))
